"""Chat models of OpenAI's protocol that call no tool with half of its arguments."""

from collections.abc import AsyncIterator
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

from stretto.agents.models.toolcalls import refuse_broken_calls


class StrictChatOpenAI(ChatOpenAI):
    """Refuses a streamed answer that calls itself whole and holds a tool call that is not.

    LangChain mends cut-off JSON while it merges what was streamed, and gives agents the merged
    message only: ``{"path": "/home/me`` would be called as it stands.
    """

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        calls = AIMessageChunk(content="")
        ending = None
        async for chunk in super()._astream(*args, **kwargs):
            ending = (chunk.generation_info or {}).get("finish_reason", ending)
            if isinstance(chunk.message, AIMessageChunk) and chunk.message.tool_call_chunks:
                pieces = chunk.message.tool_call_chunks
                calls += AIMessageChunk(content="", tool_call_chunks=pieces)
            yield chunk
        if ending in ("tool_calls", "stop"):
            refuse_broken_calls(calls)
