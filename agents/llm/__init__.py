"""Agents that ask a chat model: a prompt, tools, an output schema."""

from stretto.agents.llm.agent import LLMAgent, ModelSource
from stretto.agents.llm.http_tool import HttpTool

__all__ = ["HttpTool", "LLMAgent", "ModelSource"]
