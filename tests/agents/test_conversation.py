import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from pydantic import BaseModel

from stretto.agents.agent import Task
from stretto.agents.gate import ModelGate
from stretto.agents.llm import LLMAgent
from stretto.agents.llm.output import OutputSchema
from stretto.errors import BudgetExceeded, ConfigurationError, StepFailed
from stretto.testing import ScriptedModel


class Verdict(BaseModel):
    """What is thought of a text."""

    label: Literal["good", "bad"]
    score: int


VERDICT = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}, "score": {"type": "integer"}},
    "required": ["label", "score"],
}
OUTPUTS = pytest.mark.parametrize("output", [Verdict, VERDICT], ids=["pydantic", "schema"])


def lookup(word: str) -> str:
    """Look a word up."""
    if word == "nothing":
        raise LookupError("no such word")
    return f"{word} means joy"


def calls(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": tool, "args": arguments}]}


class Watched:
    """A task, and everything that was published while it was done."""

    def __init__(self, **fields: Any) -> None:
        self.said: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []

        def notify(kind: str, data: dict[str, Any]) -> None:
            self.told.append((kind, data))

        self.task = Task(params={"word": "glee"}, publish=self.said.append, notify=notify, **fields)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]


def asking(model: Any, **options: Any) -> LLMAgent:
    return LLMAgent("asker", "Say {{word}}.", model, **options)


async def test_a_tool_is_called_and_the_answer_follows() -> None:
    model = ScriptedModel([calls("lookup", word="glee"), "It means joy."])
    watched = Watched()
    answer = await asking(model, tools=[lookup]).run(watched.task)
    assert answer == {"text": "It means joy.", "model": "scripted", "offline": False}
    assert model.calls[0].tools == ("lookup",)
    assert model.calls[1].text == "glee means joy"
    assert watched.kinds() == ["tool_call", "tool_result"]
    assert (watched.told[0][1]["tool"], watched.told[0][1]["arguments"]) == (
        "lookup",
        {"word": "glee"},
    )
    assert (watched.told[1][1]["result"], watched.told[1][1]["failed"]) == ("glee means joy", False)
    assert ("".join(watched.said), watched.task.usage.calls) == ("It means joy.", 2)


async def test_a_tool_that_fails_is_told_to_the_model() -> None:
    model = ScriptedModel([calls("lookup", word="nothing"), "Nobody knows."])
    watched = Watched()
    assert (await asking(model, tools=[lookup]).run(watched.task))["text"] == "Nobody knows."
    assert model.calls[1].text == "lookup failed: LookupError: no such word"
    assert watched.told[1][1]["failed"] is True


async def test_what_the_deployment_got_wrong_in_a_tool_is_not_the_models_business() -> None:
    def broken(word: str) -> str:
        """Break."""
        raise ConfigurationError("the secret KEY is not set")

    model = ScriptedModel([calls("broken", word="x"), "never said"])
    with pytest.raises(ConfigurationError, match="the secret KEY is not set"):
        await asking(model, tools=[broken]).run(Watched().task)


async def test_an_obedient_model_calls_no_tool_that_it_was_not_given() -> None:
    model = ScriptedModel([calls("delete_everything", sure=True), "I could not."])
    watched = Watched()
    assert (await asking(model, tools=[lookup]).run(watched.task))["text"] == "I could not."
    answered = [m for m in model.calls[1].messages if isinstance(m, ToolMessage)]
    assert [m.status for m in answered] == ["error"]


async def test_a_model_that_never_comes_to_an_end_is_stopped() -> None:
    model = ScriptedModel(calls("lookup", word="glee"), repeat=True)
    with pytest.raises(StepFailed) as failure:
        await asking(model, tools=[lookup], max_model_calls=3).run(Watched().task)
    assert (failure.value.code, len(model.calls)) == ("too_many_model_calls", 3)


@OUTPUTS
async def test_the_output_has_the_form_that_is_asked_for(output: Any) -> None:
    model = ScriptedModel({"label": "good", "score": 3})
    assert await asking(model, output=output).run(Watched().task) == {"label": "good", "score": 3}


async def test_an_empty_mapping_is_an_answer() -> None:
    model = ScriptedModel({})
    assert await asking(model, output={"type": "object"}).run(Watched().task) == {}
    assert len(model.calls) == 1


@OUTPUTS
async def test_tools_may_be_called_before_the_output_is_given(output: Any) -> None:
    model = ScriptedModel([calls("lookup", word="glee"), {"label": "good", "score": 9}])
    watched = Watched()
    found = await asking(model, output=output, tools=[lookup]).run(watched.task)
    assert (found["score"], watched.kinds()) == (9, ["tool_call", "tool_result"])


@OUTPUTS
async def test_an_answer_that_does_not_fit_is_mended_once(output: Any) -> None:
    name = "Verdict" if output is Verdict else "answer"
    wrong = calls(name, label="fine", score="many")
    model = ScriptedModel([wrong, {"label": "bad", "score": 1}])
    watched = Watched()
    assert await asking(model, output=output).run(watched.task) == {"label": "bad", "score": 1}
    assert watched.told == [("reset", {"reason": "repair", "code": "unfit_answer"})]
    assert "label" in model.calls[1].text
    assert "Give the whole answer again" in model.calls[1].text


@OUTPUTS
async def test_an_answer_that_never_fits_fails_the_step_after_one_repair(output: Any) -> None:
    name = "Verdict" if output is Verdict else "answer"
    model = ScriptedModel(calls(name, label="fine", score=1), repeat=True)
    with pytest.raises(StepFailed) as failure:
        await asking(model, output=output).run(Watched().task)
    assert (failure.value.code, failure.value.retryable) == ("unfit_answer", True)
    assert len(model.calls) == 2


@OUTPUTS
async def test_a_text_where_data_is_asked_for_does_not_fit(output: Any) -> None:
    model = ScriptedModel(["I think it is good.", {"label": "good", "score": 2}])
    found = await asking(model, output=output).run(Watched().task)
    assert (found["score"], len(model.calls)) == (2, 2)


async def test_another_model_steps_in_and_readers_are_told_to_start_over() -> None:
    down = ScriptedModel(ConnectionError("gone"))
    watched = Watched()
    agent = asking(down, fallback_models=[ScriptedModel("Here.", model_name="second")])
    answer = await agent.run(watched.task)
    assert (answer["text"], len(down.calls)) == ("Here.", 1)
    assert watched.told == [("reset", {"reason": "fallback", "code": "model_unavailable"})]


async def test_models_that_step_in_count_for_the_most_calls_too() -> None:
    down, second = ScriptedModel(ConnectionError("gone")), ScriptedModel("Here.")
    agent = asking(down, fallback_models=[second], max_model_calls=1)
    with pytest.raises(StepFailed) as failure:
        await agent.run(Watched().task)
    assert (failure.value.code, len(down.calls)) == ("too_many_model_calls", 1)
    assert second.calls == []


async def test_a_refusal_that_would_be_the_same_elsewhere_is_final() -> None:
    refusing = ScriptedModel(StepFailed("no", code="filtered_answer"))
    second = ScriptedModel("Here.")
    with pytest.raises(StepFailed, match="no"):
        await asking(refusing, fallback_models=[second]).run(Watched().task)
    assert second.calls == []


async def test_every_call_of_a_task_is_checked_against_the_budget() -> None:
    model = ScriptedModel(calls("lookup", word="glee"), repeat=True)
    watched = Watched()

    def check() -> None:
        if watched.task.usage.calls >= 2:
            raise BudgetExceeded("the run has used its budget of 2 model_calls; raise it")

    task = Task(params={"word": "x"}, usage=watched.task.usage, gate=ModelGate(check_budget=check))
    with pytest.raises(BudgetExceeded):
        await asking(model, tools=[lookup]).run(task)
    assert len(model.calls) == 2


async def test_reasoning_is_told_and_is_no_part_of_the_answer() -> None:
    thought: list[Any] = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "Yes."},
    ]
    model = ScriptedModel(AIMessage(content=thought))
    watched = Watched()
    assert (await asking(model).run(watched.task))["text"] == "Yes."
    assert watched.told == [("reasoning", {"reasoning": "hm"})]
    assert "".join(watched.said) == "Yes."


async def test_an_agent_tells_its_model_and_its_prompt() -> None:
    task = Watched().task
    await asking(ScriptedModel("Yes.")).run(task)
    assert task.facts["model"] == "scripted"
    assert task.facts["offline"] is False
    assert (task.facts["prompt"]["name"], len(task.facts["prompt"]["hash"])) == ("asker", 64)


untyped: Callable[..., Any] = eval("lambda word: word")
untyped.__name__, untyped.__doc__ = "untyped", "Take anything."


def silent(word: str) -> str:
    return word


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([untyped], "argument 'word' of tool 'untyped' has no type; write 'word: str'"),
        ([silent], "tool 'silent' has no docstring"),
        ([lookup, lookup], "has two tools 'lookup'"),
        ([42], "42 is no tool"),
    ],
)
def test_a_tool_that_no_model_can_be_told_of_is_refused(
    tools: list[Callable[..., Any]], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        asking(ScriptedModel("x"), tools=tools)


def refers_to(reference: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"$ref": reference}}}


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"type": "array"}, "has to be the schema of an object"),
        ({"type": "nonsense"}, "no valid JSON Schema"),
        (refers_to("http://127.0.0.1:9/x"), "refers to 'http://127.0.0.1:9/x', which it does not"),
        (refers_to("#/nope"), "refers to '#/nope', which it does not hold"),
        ("text", "is a pydantic model or a JSON Schema"),
    ],
)
def test_an_output_that_is_no_schema_is_refused(output: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        asking(ScriptedModel("x"), output=output)


def test_an_answer_has_a_name_that_providers_take() -> None:
    schema = OutputSchema.of({"type": "object", "title": "Größe in m " * 30}, "say")
    assert re.fullmatch("[A-Za-z0-9_]{1,64}", schema.name)


async def test_what_a_model_inside_a_tool_says_is_no_part_of_the_answer() -> None:
    inner = ScriptedModel(["a secret thought"])

    async def think(word: str) -> str:
        """Think about a word."""
        return (await inner.ainvoke(word)).text

    watched = Watched()
    model = ScriptedModel([calls("think", word="glee"), "It is joy."])
    await asking(model, tools=[think]).run(watched.task)
    assert "".join(watched.said) == "It is joy."
