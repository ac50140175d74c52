"""The shipped workflow as a graph that any LangGraph host can serve; see ``langgraph.json``."""

from stretto import Workflow

# Without a checkpointer: the host brings its own.
graph = Workflow.get("account_analysis").compile()
