"""The calls of tools in a model's answer."""

import json
from typing import TYPE_CHECKING

from stretto.agents.models.failures import ModelFailed

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage


def refuse_broken_calls(answer: "AIMessage") -> None:
    """Refuse an answer that calls a tool with arguments that are no JSON object.

    Where LangChain merges streamed pieces it mends JSON that was cut off, so a tool would be
    called with half of its arguments; what was streamed is read again as it came.

    Raises:
        ModelFailed: code ``bad_answer``; it may be tried again.

    """
    streamed = getattr(answer, "tool_call_chunks", ())
    broken = [call["name"] for call in answer.invalid_tool_calls]
    broken += [call["name"] for call in streamed if not _is_object(call["args"])]
    if broken:
        message = f"The model called '{broken[0]}' with arguments that are no JSON object."
        raise ModelFailed(message, code="bad_answer", retryable=True)


def _is_object(arguments: str | None) -> bool:
    try:
        return isinstance(json.loads(arguments or "{}"), dict)
    except (ValueError, RecursionError):
        return False
