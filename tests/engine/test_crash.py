"""Engines that are killed at every moment that matters: what was finished is never done again."""

import json
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.crashing import KILLED, Journal, Nursery, Order, open_nursery


@dataclass(frozen=True)
class Scenario:
    name: str
    workflow: dict[str, Any]
    others: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    input: dict[str, Any] = field(default_factory=dict[str, Any])

    def order(self, home: Path) -> Order:
        return Order(str(home), workflow=self.workflow, others=self.others, input=self.input)


def step(id: str, *needs: str, **rest: Any) -> dict[str, Any]:
    return {"id": id, "agent": "work", "depends_on": list(needs), **rest}


def numbered(id: str, *needs: str, n: Any) -> dict[str, Any]:
    return step(id, *needs, params={"n": n})


CHAIN = Scenario(
    "chain",
    {
        "name": "chain",
        "steps": [step("s1"), *(step(f"s{n}", f"s{n - 1}") for n in range(2, 7))],
    },
)
FAN_OUT = Scenario(
    "fan-out",
    {
        "name": "fan-out",
        "steps": [
            step("root"),
            *(step(f"w{n}", "root", params={"seconds": n * 0.004}) for n in range(5)),
            step("join", *(f"w{n}" for n in range(5))),
        ],
    },
)
LOOP = Scenario(
    "loop",
    {
        "name": "loop",
        "steps": [
            step("first"),
            {
                "id": "refine",
                "depends_on": ["first"],
                "loop": {
                    "steps": [
                        numbered("draft", n="${iteration}"),
                        numbered("critique", "draft", n="${draft.n}"),
                    ],
                    "until": "critique.n >= 3",
                    "max_iterations": 5,
                },
            },
            step("last", "refine"),
        ],
    },
)
NESTED = Scenario(
    "nested",
    {
        "name": "outer",
        "steps": [
            step("before"),
            {
                "id": "sub",
                "workflow": "inner",
                "depends_on": ["before"],
                "input": {"x": "${before.path}"},
            },
            step("after", "sub"),
        ],
    },
    others=[
        {
            "name": "inner",
            "inputs": {"x": "string"},
            "steps": [numbered("i1", n="${input.x}"), step("i2", "i1")],
        }
    ],
)
MAP = Scenario(
    "map",
    {
        "name": "map",
        "inputs": {"items": "list"},
        "steps": [
            step("plan"),
            {
                "id": "each",
                "depends_on": ["plan"],
                "map": {
                    "over": "input.items",
                    "agent": "work",
                    "params": {"n": "${item}", "seconds": "${index * 0.004}"},
                },
            },
            step("sum", "each"),
        ],
    },
    input={"items": [1, 2, 3, 4]},
)
ASKING = Scenario(
    "asking",
    {
        "name": "asking",
        "steps": [
            step("before"),
            {"id": "left", "depends_on": ["before"], "approval": {"message": "Left?"}},
            step("right_work", "before"),
            {"id": "right", "depends_on": ["right_work"], "approval": {"message": "Right?"}},
            step("after", "left", "right"),
        ],
    },
)


@pytest.fixture(scope="module")
def nursery() -> Generator[Nursery]:
    with open_nursery() as opened:
        yield opened


def finished(lines: list[list[str]]) -> set[str]:
    """List what counts as finished: what was told to be, and what something else built on."""
    told = {line[2] for line in lines if line[:2] == ["event", "agent_completed"]}
    built_on = {path for line in lines if line[0] == "start" for path in line[2:]}
    return told | built_on


def started(lines: list[list[str]]) -> list[str]:
    return [line[1] for line in lines if line[0] == "start"]


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("status", "output", "outputs", "errors", "interrupts")}


def go_on(nursery: Nursery, order: Order) -> tuple[list[list[str]], dict[str, Any]]:
    """Recover in a new process; give what it did and how the run ended."""
    journal = Journal(order.home)
    before = len(journal.lines())
    end = nursery.do(replace(order, do="recover", kill_in=None, kill_at=None, shift=0.0))
    assert (end.code, end.result["error"]) == (0, None)
    return journal.lines()[before:], end.result


@pytest.mark.parametrize("scenario", [CHAIN, FAN_OUT, LOOP, NESTED, MAP], ids=lambda s: s.name)
def test_a_run_that_is_killed_anywhere_ends_as_if_nothing_had_happened(
    scenario: Scenario, nursery: Nursery, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    whole = scenario.order(tmp_path / "whole")
    expected = nursery.do(whole).result["result"]
    assert expected["status"] == "completed"
    lines = Journal(whole.home).lines()
    kills: list[dict[str, Any]] = [{"kill_in": path} for path in started(lines)]
    kills += [
        {"kill_at": " ".join(line[1:])}
        for line in lines
        if line[0] == "event" and line[1] in ("agent_completed", "workflow_completed")
    ]
    assert len(kills) > len(started(lines)) + 3
    early: list[dict[str, Any]] = [{"kill_at": "accepted"}, {"kill_at": "workflow_started"}]
    for number, kill in enumerate([*early, *kills]):
        home = tmp_path / str(number)
        home.mkdir()
        order = replace(scenario.order(home), **kill)
        assert nursery.do(order).code == KILLED, kill
        done = finished(Journal(order.home).lines())
        again, ended = go_on(nursery, order)
        assert not done.intersection(started(again)), kill
        assert len(started(again)) == len(set(started(again))), kill
        assert comparable(ended["result"]) == comparable(expected), kill
        states = {s["id"]: s["state"] for s in ended["status"]["steps"]}
        own = [s["id"] for s in scenario.workflow["steps"]]
        assert {states[id] for id in own} == {"completed"}, kill


def test_a_run_that_was_killed_twice_still_ends_the_same(nursery: Nursery, tmp_path: Path) -> None:
    order = LOOP.order(tmp_path)
    assert nursery.do(replace(order, kill_in="refine#1/critique")).code == KILLED
    assert nursery.do(replace(order, do="recover", kill_in="refine#3/draft")).code == KILLED
    done = finished(Journal(order.home).lines())
    assert {"first", "refine#1/draft", "refine#1/critique", "refine#2/critique"} <= done
    again, ended = go_on(nursery, order)
    assert started(again) == ["refine#3/draft", "refine#3/critique", "last"]
    assert ended["result"]["outputs"]["last"]["path"] == "last"


@pytest.mark.parametrize("more", [{}, {"max_parallel": 1}], ids=["at once", "one by one"])
@pytest.mark.parametrize("kind", ["map", "loop"])
def test_what_was_done_in_a_container_at_work_is_undone_after_a_kill_in_a_run_that_failed(
    kind: str, more: dict[str, Any], nursery: Nursery, tmp_path: Path
) -> None:
    never, failing = str(tmp_path / "never"), tmp_path / "failing"
    undo = {"agent": "work", "action": "undo"}
    body = [step("x", compensate=undo), step("y", "x", params={"wait_for": never})]
    kinds: dict[str, dict[str, Any]] = {
        "map": {"over": "[1, 2]", "steps": body, **more},
        "loop": {"until": "true", "max_iterations": 1, "steps": body},
    }
    flow = {
        "name": "saga",
        "steps": [
            {"id": "c", kind: kinds[kind]},
            step("before", params={"wait_for": str(failing)}),
            step("pay", "before", when="1 / 0 == 1"),
        ],
    }
    parallel = kind == "map" and not more
    begun = {"map": ["c[0]", "c[1]"] if parallel else ["c[0]"], "loop": ["c#1"]}[kind]
    order = Order(str(tmp_path), workflow=flow, kill_at="agent_error pay")
    child = nursery.begin(order)
    for scope in begun:
        Journal(order.home).wait_for(["start", f"{scope}/y", f"{scope}/x"])
    failing.touch()
    assert nursery.wait(order, child).code == KILLED
    again, ended = go_on(nursery, order)
    assert ended["result"]["status"] == "failed"
    assert sorted(started(again)) == [f"compensate/{scope}/x" for scope in begun]


def test_starting_a_run_id_again_goes_on_when_its_process_died(
    nursery: Nursery, tmp_path: Path
) -> None:
    order = CHAIN.order(tmp_path)
    assert nursery.do(replace(order, kill_in="s4")).code == KILLED
    before = len(Journal(order.home).lines())
    end = nursery.do(order)
    assert end.result["result"]["status"] == "completed"
    assert started(Journal(order.home).lines()[before:]) == ["s4", "s5", "s6"]


def test_a_clock_that_stepped_back_hides_nothing(nursery: Nursery, tmp_path: Path) -> None:
    order = replace(CHAIN.order(tmp_path), shift=7200.0, kill_at="agent_completed s3")
    assert nursery.do(order).code == KILLED
    again, ended = go_on(nursery, order)
    assert {"s1", "s2", "s3"}.isdisjoint(started(again))
    assert ended["result"]["status"] == "completed"
    assert ended["status"]["total_execution_time"] < 60
    assert ended["result"]["duration_seconds"] < 60


def test_a_question_outlives_its_process(nursery: Nursery, tmp_path: Path) -> None:
    order = ASKING.order(tmp_path)
    assert nursery.do(replace(order, kill_at="workflow_waiting")).code == KILLED
    one = replace(order, do="resume", answer={"left": "approve"})
    end = nursery.do(one)
    assert end.result["error"] is None
    result = end.result["result"]
    assert (result["status"], [q["step"] for q in result["interrupts"]]) == ("waiting", ["right"])
    other = nursery.do(
        replace(order, do="resume", answer={"right": {"choice": "reject", "by": "me"}})
    )
    result = other.result["result"]
    assert result["status"] == "completed"
    assert result["outputs"]["left"] == {"choice": "approve"}
    assert result["outputs"]["right"] == {"choice": "reject", "by": "me"}
    assert started(Journal(order.home).lines()) == ["before", "right_work", "after"]


def test_both_questions_can_be_answered_at_once_by_another_process(
    nursery: Nursery, tmp_path: Path
) -> None:
    order = ASKING.order(tmp_path)
    waiting = nursery.do(order).result["result"]
    assert [q["step"] for q in waiting["interrupts"]] == ["left", "right"]
    answers = {"left": "reject", "right": "approve"}
    result = nursery.do(replace(order, do="resume", answer=answers)).result["result"]
    assert result["status"] == "completed"
    assert result["outputs"]["left"] == {"choice": "reject"}
    assert result["outputs"]["right"] == {"choice": "approve"}


def test_a_run_at_work_in_another_process_is_left_to_it_and_can_be_stopped_from_outside(
    nursery: Nursery, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    flow = {
        "name": "held",
        "steps": [step("first"), step("held", "first", params={"wait_for": str(flag)})],
    }
    order = Order(str(tmp_path), workflow=flow, name="holder")
    holder = nursery.begin(order)
    Journal(order.home).wait_for(["start", "held", "first"])
    outside = replace(order, name="outside")
    refused = nursery.do(replace(outside, do="resume")).result
    assert refused["error"] == "run_conflict"
    assert "another process" in refused["message"]
    assert nursery.do(replace(outside, do="cancel")).result == {"error": None}
    stopped = nursery.wait(order, holder)
    assert stopped.result["result"]["status"] == "cancelled"
    flag.touch()
    resumed = nursery.do(replace(outside, do="resume")).result["result"]
    assert resumed["status"] == "completed"
    assert started(Journal(order.home).lines()) == ["first", "held", "held"]


def test_a_second_process_follows_a_run_that_the_first_one_works_on(
    nursery: Nursery, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    flow = {"name": "held", "steps": [step("held", params={"wait_for": str(flag)})]}
    order = Order(str(tmp_path), workflow=flow, name="holder")
    holder = nursery.begin(order)
    Journal(order.home).wait_for(["start", "held"])
    follower = replace(order, name="follower")
    watching = nursery.begin(follower)  # the same id and input: the same run
    Journal(order.home).wait_for(["event", "workflow_started"], times=2)
    flag.touch()
    first, second = nursery.wait(order, holder), nursery.wait(follower, watching)
    assert first.result["result"]["status"] == "completed"
    assert json.dumps(first.result["result"]["outputs"]) == json.dumps(
        second.result["result"]["outputs"]
    )
    assert second.result["last"] == first.result["last"]
    assert started(Journal(order.home).lines()) == ["held"]


@pytest.mark.parametrize("kill", [{"kill_in": "s3"}, {"kill_at": "agent_completed s2"}], ids=str)
def test_what_a_finished_step_kept_is_there_after_a_kill_and_what_a_running_one_did_is_not(
    kill: dict[str, Any], nursery: Nursery, tmp_path: Path
) -> None:
    order = replace(CHAIN.order(tmp_path), stateful=True)
    assert nursery.do(replace(order, **kill)).code == KILLED
    _, ended = go_on(nursery, order)
    outputs = ended["result"]["outputs"]
    assert [outputs[f"s{n}"]["found"] for n in (1, 3, 6)] == [
        [],
        ["s1", "s2"],
        ["s1", "s2", "s3", "s4", "s5"],
    ]
