"""ScriptedModel: what it says, how it is asked, and what happens when its script ends."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.tools import tool
from pydantic import BaseModel

from stretto.agents.agent import Task
from stretto.agents.llm import LLMAgent
from stretto.errors import StepFailed
from stretto.testing import ScriptedModel, ScriptError


class Verdict(BaseModel):
    """How something is judged."""

    good: bool
    why: str = ""


@tool
def look_up(name: str) -> str:
    """Look a name up."""
    return f"{name} is 42"


create_agent: Any = import_module("langchain.agents").create_agent  # its types know no state
CALL = {"tool_calls": [{"name": "look_up", "args": {"name": "x"}}]}


async def test_lines_are_said_in_order_and_calls_are_kept() -> None:
    model = ScriptedModel(["One.", AIMessage("Two.")])
    assert (await model.ainvoke("first")).text == "One."
    assert model.invoke([HumanMessage("second")]).text == "Two."
    assert [call.text for call in model.calls] == ["first", "second"]
    assert model.left == 0


async def test_text_is_streamed_word_by_word_and_comes_back_whole() -> None:
    text = " Two  words,\nthen more. "
    model = ScriptedModel(text, repeat=True)
    pieces = [chunk.text async for chunk in model.astream("go")]
    assert pieces[:-1] == [" ", "Two  ", "words,\n", "then ", "more. "]
    assert "".join(chunk.text for chunk in model.stream("go")) == text


async def test_an_answer_says_why_it_ended_and_what_it_cost() -> None:
    whole: AIMessageChunk | None = None
    async for chunk in ScriptedModel("One, two.").astream("How many?"):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert whole.usage_metadata == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.response_metadata["model_name"] == "scripted"


async def test_a_message_keeps_what_it_says_of_itself() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    line = AIMessage("Cut", response_metadata={"finish_reason": "length"}, usage_metadata=usage)
    task = Task()
    with pytest.raises(StepFailed, match="length limit"):
        await LLMAgent("say", "Go on.", ScriptedModel(line)).run(task)
    assert task.usage.tokens == 3


def test_a_script_that_ends_shows_what_was_asked() -> None:
    model = ScriptedModel(["One."]).bind_tools([look_up])
    model.invoke("first")
    with pytest.raises(ScriptError) as failure:
        model.invoke([("system", "Be brief."), ("human", "second")])
    assert str(failure.value) == (
        "the script of ScriptedModel has 1 line, and it was asked for more:\n"
        "  system: Be brief.\n  human: second\n  (tools: look_up)"
    )


def test_the_last_line_can_be_repeated() -> None:
    model = ScriptedModel(["One.", "Two."], repeat=True)
    assert [model.invoke("go").text for _ in range(4)] == ["One.", "Two.", "Two.", "Two."]


@pytest.mark.parametrize("line", [ConnectionError("down"), ConnectionError])
def test_an_exception_is_raised(line: Any) -> None:
    model = ScriptedModel([line, "Up again."])
    with pytest.raises(ConnectionError):
        model.invoke("go")
    assert model.invoke("go").text == "Up again."


def test_a_function_sees_the_messages() -> None:
    def echo(messages: list[BaseMessage]) -> str:
        return messages[-1].text.upper()

    assert ScriptedModel(echo).invoke("hello").text == "HELLO"


UNSAYABLE: list[tuple[Any, str]] = [
    (4, "cannot say 4"),
    (None, "cannot say None"),
    (Verdict(good=True), "cannot say Verdict"),
    (StepFailed, "StepFailed cannot be raised without arguments .*give an exception"),
    ({"tool_calls": [{"args": {}}]}, "calls no tool; write"),
    ({"tool_calls": [{"name": "look_up", "args": "x"}]}, "calls no tool; write"),
    ({"tool_calls": [{"name": "look_up", "arguments": {}}]}, "calls no tool; write"),
]


@pytest.mark.parametrize(("line", "told"), UNSAYABLE)
def test_what_cannot_be_said_is_an_error(line: Any, told: str) -> None:
    for lines in (line, [line]):
        with pytest.raises(ScriptError, match=told):
            ScriptedModel(lines).invoke("go")


def test_data_that_nobody_asked_for_in_a_form_is_json() -> None:
    assert ScriptedModel([{"good": True}]).invoke("go").text == '{"good": true}'


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_tool_is_called(streamed: bool) -> None:
    model = ScriptedModel([CALL])
    bound = model.bind_tools([look_up, Verdict], tool_choice="auto")
    answer: Any = None
    if streamed:
        async for chunk in bound.astream("go"):
            answer = chunk if answer is None else answer + chunk
    else:
        answer = await bound.ainvoke("go")
    (called,) = answer.tool_calls
    assert (called["name"], called["args"]) == ("look_up", {"name": "x"})
    assert answer.response_metadata["finish_reason"] == "tool_calls"
    assert model.calls[0].tools == ("look_up", "Verdict")
    assert model.calls[0].options == {"tool_choice": "auto"}


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_call_with_broken_arguments_is_one(streamed: bool) -> None:
    broken = invalid_tool_call(name="look_up", args="x}", id="1", error=None)
    model = ScriptedModel(AIMessage("", tool_calls=[], invalid_tool_calls=[broken]))
    answer: Any = None
    if streamed:
        async for chunk in model.astream("go"):
            answer = chunk if answer is None else answer + chunk
    else:
        answer = await model.ainvoke("go")
    (called,) = answer.invalid_tool_calls
    assert (called["name"], called["args"]) == ("look_up", "x}")
    assert answer.response_metadata["finish_reason"] == "tool_calls"


def test_structured_output_is_given_as_it_was_asked_for() -> None:
    model = ScriptedModel([{"good": True}, {"good": False, "why": "late"}])
    asked = model.with_structured_output(Verdict)
    assert asked.invoke("go") == Verdict(good=True)
    raw = model.with_structured_output(Verdict, include_raw=True).invoke("go")
    assert isinstance(raw, dict)
    assert raw["parsed"] == Verdict(good=False, why="late")


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
async def test_an_agent_with_tools_gets_its_structured_response(
    strategy: Callable[[type[Verdict]], Any],
) -> None:
    model = ScriptedModel([CALL, {"good": True, "why": "42"}])
    agent = create_agent(model, tools=[look_up], response_format=strategy(Verdict))
    given = await agent.ainvoke({"messages": [("human", "Judge x.")]})
    assert given["structured_response"] == Verdict(good=True, why="42")
    assert model.calls[1].text == "x is 42"


async def test_a_model_with_a_profile_is_asked_in_the_providers_own_way() -> None:
    model = ScriptedModel([{"good": True}], profile={"structured_output": True})
    agent = create_agent(model, response_format=Verdict)
    given = await agent.ainvoke({"messages": [("human", "Judge x.")]})
    assert given["structured_response"] == Verdict(good=True)
    assert model.calls[0].tools == ()
    assert "response_format" in model.calls[0].options


def test_data_that_fits_no_tool_is_an_error() -> None:
    model = ScriptedModel([{"other": 1}]).bind_tools([look_up, Verdict], tool_choice="any")
    with pytest.raises(ScriptError, match="data with other fits 0 of the tools look_up, Verdict"):
        model.invoke("go")


def test_a_tool_that_is_named_is_called_whether_the_data_fits_or_not() -> None:
    choice = {"type": "function", "function": {"name": "Verdict"}}
    for wanted in ("Verdict", choice):
        model = ScriptedModel([{"other": 1}]).bind_tools([look_up, Verdict], tool_choice=wanted)
        (called,) = model.invoke("go").tool_calls
        assert (called["name"], called["args"]) == ("Verdict", {"other": 1})
