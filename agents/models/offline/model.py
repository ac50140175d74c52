"""The chat model itself: the answer as LangChain wants it, whole or in pieces."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from stretto.agents.models.offline.answering import Answer, answer_to
from stretto.agents.models.offline.extract import count_tokens


class OfflineModel(BaseChatModel):
    """The chat model of ``open_model("offline")``: no network, and the same answer every time.

    It calls the tools that a request names, fills the schema that it is given, and otherwise
    answers with the most telling sentences of what it was given.
    """

    model_name: str = "offline"
    pace: float = 0.0
    """Seconds between two words of a stream, for people who want to watch one."""

    @property
    def _llm_type(self) -> str:
        return "stretto-offline"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools.

        Args:
            tools: what may be called.
            tool_choice: ``any``, or the name of the one that must be; None leaves it open.
            kwargs: ``response_format`` is heeded, everything else makes no difference.

        """
        plain = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=plain, tool_choice=tool_choice, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = answer_to(messages, kwargs)
        calls = [
            tool_call(name=call.name, args=call.args, id=call.call_id(len(messages) + place))
            for place, call in enumerate(answer.calls)
        ]
        message = AIMessage(
            content=answer.text,
            tool_calls=calls,
            response_metadata=self._facts(answer),
            usage_metadata=_usage(messages, answer),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _facts(self, answer: Answer) -> dict[str, Any]:
        reason = "tool_calls" if answer.calls else "stop"
        return {"model_name": self.model_name, "offline": True, "finish_reason": reason}

    def _chunks(
        self, messages: list[BaseMessage], options: dict[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        answer = answer_to(messages, options)
        for piece in re.findall(r"\S+\s*", answer.text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        for chunk in _call_chunks(answer, len(messages)):
            yield ChatGenerationChunk(message=chunk)
        last = AIMessageChunk(
            content="",
            response_metadata=self._facts(answer),
            usage_metadata=_usage(messages, answer),
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, kwargs):
            if run_manager and chunk.text:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, kwargs):
            if self.pace:
                await asyncio.sleep(self.pace)
            if run_manager and chunk.text:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _call_chunks(answer: Answer, start: int) -> Iterator[AIMessageChunk]:
    """Stream each call as services do: its name first, then its arguments bit by bit."""
    for place, call in enumerate(answer.calls):
        call_id = call.call_id(start + place)
        pieces = re.findall(r"\S+\s*", json.dumps(call.args, ensure_ascii=False))
        head = tool_call_chunk(name=call.name, args="", id=call_id, index=place)
        yield AIMessageChunk(content="", tool_call_chunks=[head])
        for piece in pieces:
            part = tool_call_chunk(name=None, args=piece, id=None, index=place)
            yield AIMessageChunk(content="", tool_call_chunks=[part])


def _usage(messages: Sequence[BaseMessage], answer: Answer) -> UsageMetadata:
    asked = sum(count_tokens(message.text) for message in messages)
    given = count_tokens(answer.written)
    return UsageMetadata(input_tokens=asked, output_tokens=given, total_tokens=asked + given)
