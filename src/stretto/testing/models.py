"""A chat model that says what a test tells it to, and remembers what it was asked."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, PrivateAttr

from stretto.agents.models.offline import count_tokens
from stretto.testing.script import Script, ScriptError, raised
from stretto.testing.tools import checked_call, fitting_tool, name_of

Line = str | AIMessage | dict[str, Any] | BaseException | type[BaseException]
Answer = Line | Callable[[list[BaseMessage]], Line]
"""What a scripted model can be told to say."""
_LONGEST = 500
"""Characters of a message that an error shows."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What a scripted model was asked once."""

    messages: tuple[BaseMessage, ...]
    tools: tuple[str, ...]
    """The names of the tools that it could have called."""
    options: Mapping[str, Any]
    """What else was bound: ``tool_choice``, ``response_format``, ``stop``, ..."""

    @property
    def text(self) -> str:
        """The text of the last message."""
        return self.messages[-1].text if self.messages else ""


class ScriptedModel(BaseChatModel):
    """Answers with the lines of a script, in order; texts are streamed word by word.

    A line is a text; an ``AIMessage``; an exception, which is raised; a function of the messages
    that gives one of these; or a mapping. ``{"tool_calls": [{"name": ..., "args": {...}}]}`` calls
    tools, and any other mapping is structured data, given in the way that was asked for: as a call
    of the tool that it fits where a tool has to be called (``with_structured_output``,
    ``ToolStrategy``), else as JSON.
    """

    model_name: str = "scripted"
    _script: Script = PrivateAttr()
    _calls: list[ModelCall] = PrivateAttr(default_factory=list[ModelCall])

    def __init__(
        self, answers: Answer | Iterable[Answer] = (), *, repeat: bool = False, **settings: Any
    ) -> None:
        """Keep the script.

        Args:
            answers: its lines; one alone needs no list.
            repeat: whether the last line is said for ever. Without, a call after it is an error.
            **settings: fields of a chat model, such as ``profile={"structured_output": True}``.

        """
        super().__init__(**settings)
        alone = isinstance(answers, str | Mapping | BaseModel | type) or callable(answers)
        alone = alone or not isinstance(answers, Iterable)
        lines: Iterable[Any] = [answers] if alone else cast(Iterable[Any], answers)
        self._script = Script(lines, repeat)

    @property
    def calls(self) -> list[ModelCall]:
        """What it was asked, in order."""
        return self._calls

    @property
    def left(self) -> int:
        """How many lines of the script have not been said yet."""
        return self._script.left

    @property
    def _llm_type(self) -> str:
        return "stretto-scripted"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model; it calls those that its script says."""
        offered = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=offered, tool_choice=tool_choice, **kwargs)

    def _answer(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> AIMessage:
        given = {key: value for key, value in options.items() if value is not None}
        tools: list[dict[str, Any]] = given.pop("tools", [])
        if stop:
            given["stop"] = stop
        names = tuple(name_of(tool) for tool in tools)
        self._calls.append(ModelCall(tuple(messages), names, given))
        line: Any = self._script.take("ScriptedModel", _shown(messages, names))
        if not isinstance(line, type) and callable(line):
            line = line(messages)
        if (error := raised(line)) is not None:
            raise error
        answer = line if isinstance(line, AIMessage) else self._message(line, tools, given)
        return self._complete(answer, messages)

    def _message(self, line: Any, tools: list[dict[str, Any]], given: dict[str, Any]) -> AIMessage:
        if isinstance(line, str):
            return AIMessage(line)
        if not isinstance(line, dict):
            raise ScriptError(f"ScriptedModel cannot say {line!r}; give a text, message or mapping")
        data = cast(dict[str, Any], line)
        if "tool_calls" in data:
            return AIMessage(data.get("content", ""), tool_calls=self._numbered(data["tool_calls"]))
        choice = given.get("tool_choice")
        if tools and choice not in (None, False, "auto", "none"):
            call = {"name": fitting_tool(data, tools, choice), "args": data}
            return AIMessage("", tool_calls=self._numbered([call]))
        return AIMessage(json.dumps(data, ensure_ascii=False))

    def _numbered(self, calls: Iterable[Mapping[str, Any]]) -> list[ToolCall]:
        """Give every call of a tool an id of its own."""
        return [
            ToolCall(
                name=call["name"],
                args=call.get("args", {}),
                id=call.get("id") or f"call_{len(self._calls)}_{place}",
            )
            for place, call in enumerate(map(checked_call, calls), start=1)
        ]

    def _complete(self, answer: AIMessage, messages: list[BaseMessage]) -> AIMessage:
        """Add what every answer of a service has: why it ended, and what it cost."""
        ending = "tool_calls" if answer.tool_calls or answer.invalid_tool_calls else "stop"
        facts = {"model_name": self.model_name, "finish_reason": ending}
        said = answer.text + "".join(json.dumps(call["args"]) for call in answer.tool_calls)
        asked, given = sum(count_tokens(m.text) for m in messages), count_tokens(said)
        usage = UsageMetadata(input_tokens=asked, output_tokens=given, total_tokens=asked + given)
        return answer.model_copy(
            update={
                "response_metadata": facts | answer.response_metadata,
                "usage_metadata": answer.usage_metadata or usage,
            }
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self._answer(messages, stop, kwargs)
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, stop, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(self._answer(messages, stop, kwargs)):
            yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages, stop, **kwargs):
            yield chunk


def _chunks(answer: AIMessage) -> Iterator[AIMessageChunk]:
    """Cut an answer into words; the last piece has the calls of tools and the figures."""
    words = re.findall(r"\S+\s*|\s+", answer.content) if isinstance(answer.content, str) else []
    for word in words:
        yield AIMessageChunk(content=word)
    calls = [
        ToolCallChunk(name=c["name"], args=json.dumps(c["args"]), id=c["id"], index=place)
        for place, c in enumerate(answer.tool_calls)
    ]
    calls += [
        ToolCallChunk(name=c["name"], args=c["args"], id=c["id"], index=place)
        for place, c in enumerate(answer.invalid_tool_calls, start=len(calls))
    ]
    yield AIMessageChunk(
        content="" if isinstance(answer.content, str) else answer.content,
        tool_call_chunks=calls,
        additional_kwargs=answer.additional_kwargs,
        response_metadata=answer.response_metadata,
        usage_metadata=answer.usage_metadata,
        chunk_position="last",
    )


def _shown(messages: Sequence[BaseMessage], tools: Sequence[str]) -> str:
    lines = [f"\n  {message.type}: {message.text[:_LONGEST]}" for message in messages]
    return "".join(lines) + (f"\n  (tools: {', '.join(tools)})" if tools else "")
