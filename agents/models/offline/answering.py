"""The answer to a conversation: calls of tools, a filled schema, or an extract."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import TypeAdapter

from stretto.agents.models.offline.calling import Call, Tool, call_to_fill, calls_named, tool_of
from stretto.agents.models.offline.documents import is_object
from stretto.agents.models.offline.extract import DATA, extract_answer
from stretto.agents.models.offline.facts import Facts, facts_of
from stretto.agents.models.offline.filling import fill_schema

_FORCED = ("any", "required")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, or the tools that it wants called."""

    text: str = ""
    calls: tuple[Call, ...] = ()

    @property
    def written(self) -> str:
        """Everything that the model wrote, for counting."""
        return self.text or " ".join(f"{call.name} {json.dumps(call.args)}" for call in self.calls)


def answer_to(messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> Answer:
    """Answer a conversation.

    Tools that the request names are called first. When their results are there, or none is
    named, the answer is the tool that must be called, the schema that must be filled, or text.

    Args:
        messages: the conversation.
        options: what is bound to the model: ``tools``, ``tool_choice`` and ``response_format``.

    """
    request, results = _request(messages), _results(messages)
    bound = options.get("tools") or ()
    # A tool without a name is one that a provider has of its own.
    tools = [tool_of(tool) for tool in bound if "name" in tool.get("function", tool)]
    forced = _forced(tools, options.get("tool_choice"))
    named = forced is not None and options.get("tool_choice") not in (*_FORCED, True)
    if tools and not results and not named and options.get("tool_choice") != "none":
        if calls := _named(messages, request, tools):
            return Answer(calls=tuple(calls))
    if forced is not None:
        return Answer(calls=(call_to_fill(forced, _facts(request, results)),))
    schema = _schema(options.get("response_format"))
    if schema is not None:
        value = fill_schema(schema, _facts(request, results))
        return Answer(json.dumps(value, ensure_ascii=False))
    return Answer(extract_answer("\n\n".join(results) if results else request))


def _request(messages: Sequence[BaseMessage]) -> str:
    """Find what is asked: the latest message with data, else what was said last."""
    texts: list[str] = [it.text for it in messages if isinstance(it, HumanMessage | SystemMessage)]
    with_data = [text for text in texts if DATA.search(text)]
    return (with_data or [_question(messages)])[-1]


def _question(messages: Sequence[BaseMessage]) -> str:
    asked: list[str] = [it.text for it in messages if isinstance(it, HumanMessage)]
    return (asked or [it.text for it in messages[-1:]] or [""])[-1]


def _results(messages: Sequence[BaseMessage]) -> list[str]:
    """Give what tools answered since a person last said something."""
    results: list[str] = []
    for message in messages:
        if isinstance(message, HumanMessage):
            results = []
        elif isinstance(message, ToolMessage) and message.text.strip():
            results.append(message.text)
    return results


def _named(messages: Sequence[BaseMessage], request: str, tools: Sequence[Tool]) -> list[Call]:
    """Make the calls that are named last: by the question, else with the data, else before."""
    question = _question(messages)
    more = "" if question == request else request
    if calls := calls_named(question, tools, more) or calls_named(more, tools):
        return calls
    system = "\n".join(it.text for it in messages if isinstance(it, SystemMessage))
    names = {call.name for call in calls_named(system, tools)}
    facts = facts_of(request)
    return [call_to_fill(tool, facts) for tool in tools if tool.name in names]


def _forced(tools: Sequence[Tool], choice: Any) -> Tool | None:
    """Tell which tool must be called; of several the last, which is where schemas are bound."""
    if not tools or choice in (None, "auto", "none", False):
        return None
    if choice in (*_FORCED, True):
        return tools[-1]
    name = choice
    if is_object(choice):
        name = choice.get("function", choice).get("name")
    return next((tool for tool in tools if tool.name == name), tools[-1])


def _facts(request: str, results: Sequence[str]) -> Facts:
    """Read what there is to answer from; what tools said comes first."""
    facts = facts_of(request)
    if not results:
        return facts
    if not DATA.search(request):
        facts = replace(facts, text="")  # a mere instruction is nothing to quote from
    told = facts_of("\n\n".join(results))
    return told.and_then(facts)


def _schema(response_format: Any) -> dict[str, Any] | None:
    if isinstance(response_format, type):
        return TypeAdapter[Any](response_format).json_schema()
    if not is_object(response_format):
        return None
    asked = response_format
    if asked.get("type") == "json_schema":
        held: dict[str, Any] = asked.get("json_schema", asked)
        schema: dict[str, Any] = held.get("schema", {})
        return schema
    if asked.get("type") == "json_object":
        return {"properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    return None if asked.get("type") == "text" else asked
