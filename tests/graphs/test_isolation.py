"""What an agent does to what it is given, or to the process, reaches nobody else."""

import asyncio
from typing import Any

import pytest

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.dispatch import Dispatcher
from stretto.errors import ConfigurationError, InputInvalid, WorkflowInvalid
from stretto.graphs.compile import compile_workflow
from stretto.graphs.inputs import check_input
from stretto.graphs.spec import Workflow
from tests.graphs.running import Stage, flow, ok, perform


async def endless(task: Task) -> Any:
    while True:
        yield "token "


async def endless_emitter(task: Task) -> None:
    while True:
        await task.emit("token ")


@pytest.mark.parametrize("flood", [endless, endless_emitter])
async def test_a_flood_of_tokens_holds_up_no_other_run_and_not_its_own_deadline(flood: Any) -> None:
    async def quick(task: Task) -> str:
        return "fine"

    agents = [FunctionAgent(flood, name="flood"), FunctionAgent(quick)]
    flooding = Stage([{"id": "a", "agent": "flood", "timeout": 0.5}], agents)
    flooded = asyncio.create_task(flooding.run())
    ran = await perform([{"id": "a", "agent": "quick"}], agents)
    assert (ran.output, flooded.done()) == ("fine", False)
    assert (await flooded).errors == [("a", "step_timed_out")]


async def test_what_an_agent_changes_in_its_task_stays_with_that_attempt() -> None:
    seen: list[Any] = []

    async def give(task: Task) -> Any:
        return {"list": [1]}

    async def change(task: Task) -> Any:
        seen.append((task.params["n"][:], task.inputs["a"]["list"][:], task.context["c"][:]))
        task.params["n"].append(2)
        task.inputs["a"]["list"].append(2)
        task.context["c"].append(2)
        if task.attempt == 1:
            raise ConnectionError("again")
        return "done"

    steps = [
        {"id": "a", "agent": "give"},
        {
            "id": "b",
            "agent": "change",
            "depends_on": ["a"],
            "params": {"n": [1]},
            "retry": {"attempts": 2, "delay": 0},
        },
        {
            "id": "c",
            "agent": "change",
            "depends_on": ["b", "a"],
            "params": {"n": [1]},
            "retry": {"attempts": 2, "delay": 0},
        },
    ]
    workflow = flow(steps, context={"c": [1]})
    digest = workflow.digest
    graph: Any = compile_workflow(workflow, [FunctionAgent(give), FunctionAgent(change)])
    state = await graph.ainvoke({"input": {}})
    assert seen == [([1], [1], [1])] * 4
    assert state["outputs"]["a"] == {"list": [1]}
    assert workflow.digest == digest


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BaseException("odd"), "step_failed"),
        (KeyboardInterrupt(), "step_failed"),
        (SystemExit(3), "step_failed"),
        (Unprintable(), "agent_failed"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("plain", [False, True])
async def test_whatever_an_agent_raises_is_the_failure_of_its_step(
    error: BaseException, code: str, plain: bool
) -> None:
    async def raising(task: Task) -> None:
        raise error

    def raising_in_a_thread(task: Task) -> None:
        raise error

    agent = FunctionAgent(raising_in_a_thread if plain else raising, name="boom")
    steps = [{"id": "a", "agent": "boom", "on_error": "continue"}, ok("b")]
    fine = FunctionAgent(lambda task: "fine", name="ok")
    ran = await perform(steps, [agent, fine])
    assert (ran.success, ran.errors) == (True, [("a", code)])


def test_workflows_that_use_each_other_are_a_cycle() -> None:
    def using(name: str, other: str) -> Workflow:
        return Workflow.model_validate({"name": name, "steps": [{"id": "s", "workflow": other}]})

    known = {"one": using("one", "two"), "two": using("two", "one")}
    with pytest.raises(WorkflowInvalid) as raised:
        compile_workflow(known["one"], [], find=lambda name: known[name])
    (fault,) = raised.value.faults
    assert (fault.code, fault.path) == ("cycle", "steps")
    assert "one -> two -> one" in fault.message


@pytest.mark.parametrize("step", ["__start__", "__end__", "__interrupt__", "__mine"])
def test_ids_like_langgraphs_own_names_are_reserved(step: str) -> None:
    found = [(f.code, f.path) for f in flow([{"id": step, "agent": "x"}]).faults()]
    assert found == [("reserved_name", "steps[0].id")]


def test_a_pattern_of_an_input_takes_linear_time() -> None:
    declared = {"text": {"type": "string", "pattern": "^(a+)+$"}}
    workflow = flow([{"id": "a", "agent": "x"}], inputs=declared)
    assert check_input(workflow, {"text": "a" * 40}) == {"text": "a" * 40}
    with pytest.raises(InputInvalid, match="does not match"):
        check_input(workflow, {"text": "a" * 40 + "!"})


@pytest.mark.parametrize(
    "schema", [{"type": "string", "pattern": "(?=a)"}, {"patternProperties": {"a": {}}}]
)
def test_a_pattern_that_cannot_be_used_is_a_fault(schema: dict[str, Any]) -> None:
    workflow = flow([{"id": "a", "agent": "x"}], inputs={"text": schema})
    assert [(f.code, f.path) for f in workflow.faults()] == [("bad_schema", "inputs")]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_run_is_refused(limit: int) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        Dispatcher(limit)


@pytest.mark.parametrize(("name", "slug"), [("日本 Flow", "日本_flow"), ("Crème", "crème")])
def test_a_name_in_any_script_has_a_slug(name: str, slug: str) -> None:
    assert flow([{"id": "a", "agent": "x"}]).model_copy(update={"name": name}).id == slug
