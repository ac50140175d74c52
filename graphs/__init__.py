"""What a workflow is, and how it becomes a LangGraph."""
