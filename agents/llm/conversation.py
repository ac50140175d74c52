"""One task as a conversation with a model: tools are called until the answer stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain.agents.middleware import ToolErrorMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph._internal._constants import CONFIG_KEY_DURABILITY  # not public: tested

from stretto.agents.agent import Task
from stretto.agents.llm.answer import is_offline
from stretto.agents.llm.calls import ModelCalls, UnfitAnswer
from stretto.agents.llm.output import OutputSchema
from stretto.agents.models.known import KnownModel
from stretto.errors import ConfigurationError, StepFailed, StrettoError

UNSAVED = RunnableConfig(configurable={CONFIG_KEY_DURABILITY: "exit"})
"""A conversation is saved nowhere; in the "sync" of the run around it would wait for a save."""
SHOWN = 2000
"""Characters of a tool's result that its event shows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a conversation."""

    text: str
    data: dict[str, Any] | None
    model: str
    offline: bool


class Conversation:
    """Conversations of one agent, each for one task."""

    def __init__(
        self,
        agent: str,
        models: Sequence[KnownModel],
        tools: Sequence[BaseTool],
        output: OutputSchema | None,
        most: int,
        hints: Mapping[str, Any],
    ) -> None:
        """Prepare the graph that LangChain runs; see ``LLMAgent`` for the arguments."""
        self._agent = agent
        self._models = models
        self._output = output
        schema = output and (output.model or output.json_schema)
        # Validated here and not by LangChain: that would repair without end, or not at all.
        form: Any = ToolStrategy(schema, handle_errors=False) if schema else None
        self._graph: Any = create_agent(
            models[0].chat,
            list(tools),
            middleware=[ModelCalls(agent, models, most, hints), ToolErrorMiddleware(_told)],
            response_format=form,
            context_schema=Task,
            checkpointer=False,
        )

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The URLs of its models, in their order; empty for a provider's own or for none."""
        return tuple(model.endpoint for model in self._models)

    async def ask(self, task: Task, text: str) -> Answer:
        """Let the model answer; an answer of the wrong form may be mended once.

        Args:
            task: what is worked on; its conversation so far goes before the question.
            text: the question.

        Raises:
            StepFailed: there is no whole answer of the right form.

        """
        asked: list[BaseMessage] = [*task.messages, HumanMessage(text)]
        reason = ""
        for round_ in range(2):
            if round_:
                task.notify("reset", {"reason": "repair", "code": "unfit_answer"})
            said: list[BaseMessage] = []
            found, reason = await self._round(task, asked, said)
            if not reason:
                last = next(m for m in reversed(said) if isinstance(m, AIMessage))
                return self._answer(last, found)
            asked += [*said, *_complaint(said, reason)]
        raise StepFailed(
            f"The model's answer does not fit the schema of '{self._agent}': {reason}",
            code="unfit_answer",
            retryable=True,
        )

    async def _round(
        self, task: Task, asked: list[BaseMessage], said: list[BaseMessage]
    ) -> tuple[dict[str, Any] | None, str]:
        """Go on until the model ends; give its data and what is wrong with it, if anything is."""
        found: Any = None
        try:
            found = await self._stream(task, asked, said)
        except UnfitAnswer as error:
            said.append(error.answer)
            return None, error.reason
        return self._output.read(found) if self._output else (None, "")

    async def _stream(self, task: Task, asked: list[BaseMessage], said: list[BaseMessage]) -> Any:
        found: Any = None
        stream = self._graph.astream(
            {"messages": asked}, UNSAVED, context=task, stream_mode=["messages", "updates"]
        )
        async for mode, part in stream:
            if mode == "messages":
                # A model that a tool asks is heard here too, and is no part of the answer.
                ours = part[1]["langgraph_node"] == "model"
                if ours and isinstance(part[0], AIMessageChunk):
                    await _publish(task, part[0])
                continue
            updates = cast(dict[str, dict[str, Any] | None], part).values()
            for update in (update or {} for update in updates):
                given = update.get("structured_response")
                found = found if given is None else given  # which may be an empty mapping
                messages: list[BaseMessage] = update.get("messages") or []
                for message in messages:
                    said.append(message)
                    self._tell(task, message)
        return found

    def _tell(self, task: Task, message: BaseMessage) -> None:
        """Publish that a tool is called, or what it gave."""
        if isinstance(message, AIMessage):
            for call in message.tool_calls:
                if not self._is_output(call["name"]):
                    facts = {"tool": call["name"], "id": call["id"], "arguments": call["args"]}
                    task.notify("tool_call", facts)
        elif isinstance(message, ToolMessage) and not self._is_output(message.name):
            data: dict[str, Any] = {"tool": message.name, "id": message.tool_call_id}
            data |= {"failed": message.status == "error", "result": message.text[:SHOWN]}
            task.notify("tool_result", data)

    def _is_output(self, tool: str | None) -> bool:
        return self._output is not None and tool == self._output.name

    def _answer(self, last: AIMessage, data: dict[str, Any] | None) -> Answer:
        facts: dict[str, Any] = last.response_metadata
        model = facts.get("model_name") or self._models[0].name
        return Answer(last.text, data, str(model), is_offline(last))


async def _publish(task: Task, chunk: AIMessageChunk) -> None:
    """Publish one piece of a stream: text of the answer, or reasoning."""
    if isinstance(chunk.content, str) and not chunk.additional_kwargs:
        if chunk.content:
            await task.emit(chunk.content)
        return
    if thought := _reasoning(chunk):
        task.notify("reasoning", {"reasoning": thought})
    if text := chunk.text:
        await task.emit(text)


def _reasoning(chunk: AIMessageChunk) -> str:
    blocks = cast(list[dict[str, Any]], chunk.content_blocks)
    return "".join(str(b.get("reasoning") or "") for b in blocks if b.get("type") == "reasoning")


def _complaint(said: Sequence[BaseMessage], reason: str) -> list[BaseMessage]:
    """Answer every open call of a tool, and say what is wrong."""
    answered = {message.tool_call_id for message in said if isinstance(message, ToolMessage)}
    calls = [call for m in said if isinstance(m, AIMessage) for call in m.tool_calls]
    text = f"The answer does not fit: {reason}. Give the whole answer again in the asked form."
    results = [
        ToolMessage(text, tool_call_id=str(call["id"]), name=call["name"], status="error")
        for call in calls
        if call["id"] not in answered
    ]
    return [*results, *([] if results else [HumanMessage(text)])]


def _told(error: Exception, request: Any) -> str | None:
    """Tell the model what went wrong in a tool, unless it is the deployment's fault."""
    if isinstance(error, ConfigurationError):
        return None
    if isinstance(error, StrettoError):
        return f"{request.tool_call['name']} failed: {error.message}"
    return f"{request.tool_call['name']} failed: {type(error).__name__}: {error}"[:SHOWN]
