"""The chat model that records or replays."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    message_chunk_to_message,
)
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from stretto.agents.models.recorded.request import Request, canonical, request_of
from stretto.agents.models.recorded.tape import Tape, read_tape
from stretto.agents.threads import in_thread
from stretto.errors import ConfigurationError

_FORMS = "'recorded:FILE', 'recorded:FILE?record=NAME' or 'recorded:FILE?model=NAME'"
_UNHEARD: RunnableConfig = {"callbacks": []}
"""Keeps callbacks away from the recorded model: they hear this one already."""


class RecordedModel(BaseChatModel):
    """The chat model of ``recorded:FILE``; with a source it records, without one it replays."""

    model_name: str = "recorded"
    called: str
    """The name of the model whose calls these are."""
    tape: Tape = Field(repr=False)
    source: BaseChatModel | None = Field(default=None, repr=False)

    @property
    def _llm_type(self) -> str:
        return "stretto-recorded"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in the form of OpenAI, which every source can take."""
        plain = [convert_to_openai_tool(tool) for tool in tools]
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=plain, **choice, **kwargs)

    def _asked(self, messages: list[BaseMessage], options: dict[str, Any]) -> Request:
        return request_of(self.called, messages, options)

    def _bound(self, options: dict[str, Any]) -> Runnable[LanguageModelInput, AIMessage] | None:
        if self.source is None:
            return None
        tools = options.get("tools")
        rest = {name: value for name, value in options.items() if name != "tools"}
        return self.source.bind_tools(tools, **rest) if tools else self.source.bind(**rest)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        asked = self._asked(messages, kwargs)
        source = self._bound(kwargs)
        if source is None:
            return _whole(self.tape.play(asked))
        answer = source.invoke(messages, _UNHEARD, stop=stop)
        self.tape.append(asked, [_one_piece(answer)])
        return ChatResult(generations=[ChatGeneration(message=answer)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        asked = self._asked(messages, kwargs)
        source = self._bound(kwargs)
        if source is None:
            return _whole(self.tape.play(asked))
        answer = await source.ainvoke(messages, _UNHEARD, stop=stop)
        await in_thread(self.tape.append, asked, [_one_piece(answer)])
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        asked = self._asked(messages, kwargs)
        source = self._bound(kwargs)
        if source is None:
            yield from map(_generated, _replayed(self.tape.play(asked)))
            return
        pieces: list[AIMessageChunk] = []
        for piece in source.stream(messages, _UNHEARD, stop=stop):
            pieces.append(_chunk(piece))
            yield _generated(pieces[-1])
        self.tape.append(asked, pieces)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        asked = self._asked(messages, kwargs)
        source = self._bound(kwargs)
        if source is None:
            for kept in _replayed(self.tape.play(asked)):
                yield _generated(kept)
            return
        pieces: list[AIMessageChunk] = []
        async for piece in source.astream(messages, _UNHEARD, stop=stop):
            pieces.append(_chunk(piece))
            yield _generated(pieces[-1])
        await in_thread(self.tape.append, asked, pieces)


def open_recorded(place: str, open_source: Callable[[str], BaseChatModel]) -> RecordedModel:
    """Open what follows ``recorded:`` in a model's name.

    Args:
        place: the file; with ``?record=NAME`` the calls of that model are added to it, with
            ``?model=NAME`` only that model's calls are replayed.
        open_source: opens the model to record from.

    Raises:
        ConfigurationError: the file cannot be used, or does not say which model is meant.

    """
    name, asks, rest = place.partition("?")
    how, _, called = rest.partition("=")
    if not name or (asks and (how not in ("record", "model") or not called)):
        raise ConfigurationError(f"model 'recorded:{place}': write {_FORMS}")
    path = Path(name).expanduser()
    if how == "record":
        source = open_source(called)
        _make_room(path)
        return RecordedModel(called=called, tape=Tape(path), source=source)
    tape = read_tape(path, called or None)
    if not tape.models:
        whose = f" of the model '{called}'" if called else ""
        raise ConfigurationError(f"{path} holds no call{whose}; record one first")
    if len(tape.models) > 1:
        several = ", ".join(tape.models)
        message = f"{path} holds calls of several models ({several}); add '?model=NAME'"
        raise ConfigurationError(message)
    return RecordedModel(called=tape.models[0], tape=tape)


def _make_room(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None


def _chunk(piece: BaseMessage) -> AIMessageChunk:
    return piece if isinstance(piece, AIMessageChunk) else _one_piece(cast("AIMessage", piece))


def _one_piece(answer: AIMessage) -> AIMessageChunk:
    """Write a whole answer as a stream of one piece, the only form that is kept."""
    calls = [
        tool_call_chunk(name=call["name"], args=canonical(call["args"]), id=call["id"], index=place)
        for place, call in enumerate(answer.tool_calls)
    ]
    broken = [
        tool_call_chunk(name=call["name"], args=call["args"], id=call["id"], index=place)
        for place, call in enumerate(answer.invalid_tool_calls, start=len(calls))
    ]
    return AIMessageChunk(
        content=answer.content,
        additional_kwargs=answer.additional_kwargs,
        response_metadata=answer.response_metadata,
        usage_metadata=answer.usage_metadata,
        tool_call_chunks=[*calls, *broken],
        chunk_position="last",
    )


def _replayed(answer: Sequence[AIMessageChunk]) -> Iterator[AIMessageChunk]:
    yield from (piece.model_copy(deep=True) for piece in answer[:-1])
    facts = {**answer[-1].response_metadata, "recorded": True}
    yield answer[-1].model_copy(deep=True, update={"response_metadata": facts})


def _whole(answer: Sequence[AIMessageChunk]) -> ChatResult:
    message = message_chunk_to_message(add_ai_message_chunks(*_replayed(answer)))
    return ChatResult(generations=[ChatGeneration(message=message)])


def _generated(piece: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=piece)
