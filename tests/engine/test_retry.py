from collections.abc import Sequence
from typing import Any

import pytest

from stretto import Engine, RunResult, Workflow
from stretto.engine.handle import RunHandle
from stretto.errors import InputInvalid, RunConflict
from stretto.graphs.loading import load_document
from stretto.testing import FakeClock
from tests.fakes.players import CHAIN, Players, collect, flow, step, told


async def again(engine: Engine, players: Players, run_id: str, from_step: str | None = None) -> Any:
    players.forget()
    return await (await engine.retry(run_id, from_step)).result()


async def overdue(run: RunHandle, players: Players, held: str, before: Sequence[str] = ()) -> Any:
    """Let time pass beyond all deadlines once the steps before have ended and one hangs."""
    left = set(before)
    async for event in run.events():
        if event.event == "agent_completed":
            left.discard(event.step or "")
        if not left:
            break
    await players.entered(held)
    with FakeClock() as clock:
        await clock.advance(6)
    return await run.result()


async def test_a_retry_runs_what_failed_and_what_depends_on_it(
    engine: Engine, players: Players
) -> None:
    wide = flow(step("a"), step("b", "a"), step("other", "a"), step("end", "b", "other"))
    players.failing["b"] = 1
    failed = await engine.run(wide)
    assert failed.status == "failed"
    result = await again(engine, players, failed.run_id)
    assert (result.success, players.calls, result.errors) == (True, ["b", "end"], ())
    assert (await engine.runs())[0].error is None
    status = await engine.status(failed.run_id)
    assert {s.id: s.state for s in status.steps} == dict.fromkeys(
        ("a", "b", "other", "end"), "completed"
    )


async def test_a_retry_can_fail_and_be_retried(engine: Engine, players: Players) -> None:
    players.failing["b"] = 2
    run_id = (await engine.run(CHAIN)).run_id
    second = await again(engine, players, run_id)
    assert (second.status, players.calls) == ("failed", ["b"])
    third = await again(engine, players, run_id)
    assert (third.success, players.calls) == (True, ["b", "c"])
    events = told(await collect(engine.events(run_id)))
    assert events.count(("workflow_resumed", None)) == 2


async def test_a_retry_that_is_cancelled_goes_on(engine: Engine, players: Players) -> None:
    players.failing["b"] = 1
    run_id = (await engine.run(CHAIN)).run_id
    players.hold("c")
    players.forget()
    handle = await engine.retry(run_id)
    await players.entered("c")
    await handle.cancel()
    players.held.clear()
    players.calls.clear()
    assert (await (await engine.resume(run_id)).result()).success
    assert players.calls == ["c"]


LOOPED = flow(
    step("a"),
    {
        "id": "each_round",
        "depends_on": ["a"],
        "loop": {
            "steps": [
                step("draft", params={"gives": {"n": "${iteration}"}}),
                step("critique", "draft", params={"gives": {"n": "${draft.n}"}}),
            ],
            "until": "critique.n >= 3",
            "max_iterations": 5,
        },
    },
    step("z", "each_round"),
)
MAPPED = flow(
    step("a"),
    {
        "id": "each",
        "depends_on": ["a"],
        "map": {"over": "input.items", "steps": [step("x"), step("y", "x")]},
    },
    step("z", "each"),
    inputs={"items": "list"},
)
BRANCHED = flow(
    step("a"),
    {
        "id": "route",
        "depends_on": ["a"],
        "branch": {
            "on": "a.path == 'a' ? 'left' : 'right'",
            "cases": {"left": {"steps": [step("x"), step("y", "x")]}},
            "default": {"steps": [step("w")]},
        },
    },
    step("z", "route"),
)


@pytest.mark.parametrize(
    ("workflow", "given", "fails", "expected"),
    [
        (
            LOOPED,
            {},
            "each_round#2/critique",
            ["each_round#2/critique", "each_round#3/draft", "each_round#3/critique", "z"],
        ),
        (MAPPED, {"items": [1, 2, 3]}, "each[1]/y", ["each[1]/y", "z"]),
        (BRANCHED, {}, "route/y", ["route/y", "z"]),
    ],
    ids=["loop", "map", "branch"],
)
async def test_a_retry_does_not_repeat_what_was_finished_inside_a_container(
    workflow: Workflow,
    given: dict[str, Any],
    fails: str,
    expected: list[str],
    engine: Engine,
    players: Players,
) -> None:
    players.failing[fails] = 1
    failed = await engine.run(workflow, given)
    assert (failed.status, failed.errors[0].code) == ("failed", "told")
    result = await again(engine, players, failed.run_id)
    assert (result.success, players.calls) == (True, expected)


async def test_a_retry_from_a_step_runs_it_and_what_depends_on_it(
    engine: Engine, players: Players
) -> None:
    run_id = (await engine.run(CHAIN)).run_id
    with pytest.raises(RunConflict, match="no step of run .* failed"):
        await engine.retry(run_id)
    with pytest.raises(InputInvalid, match="no step 'bb'"):
        await engine.retry(run_id, "bb")
    result = await again(engine, players, run_id, "b")
    assert (result.success, players.calls) == (True, ["b", "c"])


async def test_a_retry_from_a_container_keeps_nothing_of_its_inside(
    engine: Engine, players: Players
) -> None:
    players.failing["each[1]/y"] = 1
    run_id = (await engine.run(MAPPED, {"items": [1, 2]})).run_id
    result = await again(engine, players, run_id, "each")
    assert result.success
    assert sorted(players.calls[:4]) == ["each[0]/x", "each[0]/y", "each[1]/x", "each[1]/y"]


async def test_a_retry_from_a_step_keeps_nothing_of_what_a_container_made_of_its_output(
    engine: Engine, players: Players
) -> None:
    players.failing["each[1]/y"] = 1
    run_id = (await engine.run(MAPPED, {"items": [1, 2]})).run_id
    result = await again(engine, players, run_id, "a")
    assert result.success
    inside = {"each[0]/x", "each[0]/y", "each[1]/x", "each[1]/y"}
    assert (players.calls[0], set(players.calls[1:5]), players.calls[5:]) == ("a", inside, ["z"])


async def test_what_a_condition_left_out_lets_what_builds_on_it_stand(
    engine: Engine, players: Players
) -> None:
    either = flow(
        step("one", when="input.kind == 1"),
        step("two", when="input.kind == 2"),
        step("both", "one", "two", join="any"),
        step("end", "both"),
    )
    players.failing["end"] = 1
    run_id = (await engine.run(either, {"kind": 1})).run_id
    result = await again(engine, players, run_id)
    assert (result.success, players.calls) == (True, ["end"])


LATE = [step("x"), step("y", "x")]
NESTED_LATE = flow(*LATE, name="inner")
OVERDUE: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "loop": (
        {"loop": {"steps": LATE, "until": "iteration == 2", "max_iterations": 3}},
        "c#2/y",
        ["c#1/x", "c#1/y", "c#2/x"],
    ),
    "map": ({"map": {"over": "[1, 2]", "steps": LATE}}, "c[1]/y", ["c[0]/x", "c[0]/y", "c[1]/x"]),
    "map, one by one": (
        {"map": {"over": "[1, 2]", "steps": LATE, "max_parallel": 1}},
        "c[1]/y",
        ["c[0]/x", "c[0]/y", "c[1]/x"],
    ),
    "map of an agent": (
        {"map": {"over": "[1, 2]", "agent": "player", "max_parallel": 1}},
        "c[1]",
        ["c[0]"],
    ),
    "branch": ({"branch": {"on": "'a'", "cases": {"a": {"steps": LATE}}}}, "c/y", ["c/x"]),
    "workflow": ({"workflow": "inner"}, "c/y", ["c/x"]),
    "loop in a map": (
        {
            "map": {
                "over": "[1]",
                "steps": [
                    {
                        "id": "l",
                        "loop": {"steps": LATE, "until": "iteration == 2", "max_iterations": 3},
                    }
                ],
            }
        },
        "c[0]/l#2/y",
        ["c[0]/l#1/x", "c[0]/l#1/y", "c[0]/l#2/x"],
    ),
}


@pytest.mark.parametrize("kind", OVERDUE)
async def test_a_retry_does_not_repeat_what_was_finished_inside_a_container_that_took_too_long(
    kind: str, engine: Engine, players: Players
) -> None:
    container, hangs, before = OVERDUE[kind]
    engine.add_workflow(NESTED_LATE)
    players.hold(hangs)
    late = {"id": "c", "timeout": 5, **container}
    known = load_document({"name": "play", "steps": [late]}, workflows={"inner"})
    failed = await overdue(await engine.start(known), players, hangs, before)
    assert [(error.step, error.code) for error in failed.errors] == [("c", "step_timed_out")]
    assert sorted(players.calls) == sorted([*before, hangs])
    players.forget()
    second = await overdue(await engine.retry(failed.run_id), players, hangs)
    assert ([error.code for error in second.errors], players.calls) == (["step_timed_out"], [hangs])
    players.held.clear()
    third = await again(engine, players, failed.run_id)
    assert (third.success, players.calls) == (True, [hangs])


async def test_what_was_done_inside_a_container_that_took_too_long_is_undone_once(
    engine: Engine, players: Players
) -> None:
    body = [step("x", compensate=undoing("x"), params={"of": "${item}"})]
    late = {"id": "c", "timeout": 5, "on_error": "continue"}
    late |= {"map": {"over": "[1, 2]", "steps": body, "max_parallel": 1}}
    players.hold("c[1]/x")
    run = await engine.start(flow(late, step("pay", "c", join="done")))
    first = await overdue(run, players, "c[1]/x", ["c[0]/x"])
    assert (first.status, players.undone) == ("completed", [])
    players.failing["pay"] = 1
    players.forget()
    second = await overdue(await engine.retry(run.id), players, "c[1]/x")
    assert (second.status, players.calls, players.undone) == (
        "failed",
        ["c[1]/x", "pay"],
        ["x"],
    )


async def test_what_a_workflow_did_before_it_took_too_long_is_undone_when_it_fails_later(
    engine: Engine, players: Players
) -> None:
    engine.add_workflow(flow(step("x", compensate=undoing("x")), step("y", "x"), name="inner"))
    late = {"id": "c", "workflow": "inner", "timeout": 5, "on_error": "continue"}
    outer = load_document({"name": "play", "steps": [late]}, workflows={"inner"})
    players.hold("c/y")
    first = await overdue(await engine.start(outer), players, "c/y", ["c/x"])
    assert (first.status, first.errors[0].code) == ("completed", "step_timed_out")
    players.held.clear()
    players.failing["c/y"] = 1
    second = await again(engine, players, first.run_id)
    assert (second.errors[0].code, players.calls, players.undone) == ("told", ["c/y"], ["x"])


async def test_what_a_workflow_had_undone_when_it_took_too_long_is_done_again(
    engine: Engine, players: Players
) -> None:
    body = [step("x", compensate=undoing("x")), step("y", "x")]
    inner = flow(*body, name="inner", on_failure=[step("tell")])
    engine.add_workflow(inner)
    late = {"id": "c", "workflow": "inner", "timeout": 5}
    players.failing["c/y"] = 1
    players.hold("c/on_failure/tell")
    outer = load_document({"name": "play", "steps": [late]}, workflows={"inner"})
    failed = await overdue(await engine.start(outer), players, "c/on_failure/tell")
    assert ([error.code for error in failed.errors], players.undone) == (["step_timed_out"], ["x"])
    retried = await again(engine, players, failed.run_id)
    assert (retried.success, players.calls) == (True, ["c/x", "c/y"])


def undoing(of: str) -> dict[str, Any]:
    return {"agent": "player", "action": "undo", "params": {"of": of}}


BODY = [step("x", compensate=undoing("x")), step("y", "x")]


@pytest.mark.parametrize(
    ("container", "fails", "expected"),
    [
        ({"loop": {"steps": BODY, "until": "iteration == 2", "max_iterations": 3}}, "c#2/y", 4),
        ({"map": {"over": "[1, 2]", "steps": BODY}}, "c[1]/y", 4),
        ({"branch": {"on": "'only'", "cases": {"only": {"steps": BODY}}}}, "c/y", 2),
    ],
    ids=["loop", "map", "branch"],
)
async def test_what_was_undone_inside_a_container_is_done_again(
    container: dict[str, Any], fails: str, expected: int, engine: Engine, players: Players
) -> None:
    players.failing[fails] = 1
    failed = await engine.run(flow({"id": "c", **container}))
    assert (failed.status, set(players.undone)) == ("failed", {"x"})
    result = await again(engine, players, failed.run_id)
    assert (result.success, len(players.calls)) == (True, expected)


ASKED: list[dict[str, Any]] = [
    BODY[0],
    {"id": "ok", "depends_on": ["x"], "approval": {"message": "?"}},
]
WAITING: dict[str, dict[str, Any]] = {
    "loop": {"loop": {"steps": ASKED, "until": "true", "max_iterations": 1}},
    "map": {"map": {"over": "[1, 2]", "steps": ASKED}},
    "map, one by one": {"map": {"over": "[1, 2]", "steps": ASKED, "max_parallel": 1}},
}


async def failed_while_asked(
    container: dict[str, Any], engine: Engine, players: Players
) -> RunResult:
    """Let a step fail once all questions inside a container beside it have been asked."""
    players.failing["pay"] = 1
    pay = players.hold("pay")
    handle = await engine.start(flow({"id": "c", **container}, step("pay")), run_id="r")
    to_ask = {"c#1/ok"} if "loop" in container else {"c[0]/ok", "c[1]/ok"}
    async for event in handle.events():
        if event.event == "agent_started":
            to_ask.discard(event.step or "")
        if not to_ask:
            pay.set()
    return await handle.result()


@pytest.mark.parametrize("kind", WAITING)
async def test_what_was_done_inside_a_container_that_waits_is_undone_when_the_run_fails(
    kind: str, engine: Engine, players: Players
) -> None:
    failed = await failed_while_asked(WAITING[kind], engine, players)
    assert (failed.status, failed.interrupts) == ("failed", ())
    assert players.undone == (["x"] if kind == "loop" else ["x", "x"])


@pytest.mark.parametrize("kind", WAITING)
async def test_what_was_done_inside_a_container_that_waited_is_not_repeated_by_a_retry(
    kind: str, engine: Engine, players: Players
) -> None:
    steps = [{**step, "compensate": None} for step in ASKED]
    container = {name: {**body, "steps": steps} for name, body in WAITING[kind].items()}
    assert (await failed_while_asked(container, engine, players)).status == "failed"
    retried = await again(engine, players, "r")
    assert (retried.status, players.calls) == ("waiting", ["pay"])
    assert len(retried.interrupts) == (1 if kind == "loop" else 2)


async def test_what_was_undone_is_done_again(engine: Engine, players: Players) -> None:
    saga = flow(
        step("a", compensate=undoing("a")),
        step("kept", "a"),
        step("b", "a", compensate=undoing("b")),
        step("c", "b"),
    )
    players.failing["c"] = 1
    failed = await engine.run(saga)
    assert (failed.status, players.undone) == ("failed", ["b", "a"])
    result = await again(engine, players, failed.run_id)
    assert result.success
    assert sorted(players.calls) == ["a", "b", "c", "kept"]
    assert players.undone == ["b", "a"]


async def test_what_builds_on_a_step_that_runs_again_does_so_inside_containers_too(
    engine: Engine, players: Players
) -> None:
    tolerated = step("v", on_error="continue")
    steps = [tolerated, step("w", "v", join="done"), step("far", "w"), step("k", "w"), step("x")]
    body = {"steps": steps, "until": "true", "max_iterations": 1}
    players.failing |= {"each#1/v": 1, "each#1/k": 1}
    failed = await engine.run(flow({"id": "each", "loop": body}))
    assert failed.status == "failed"
    result = await again(engine, players, failed.run_id)
    assert result.success
    assert sorted(players.calls) == [f"each#1/{name}" for name in ("far", "k", "v", "w")]


async def test_a_step_that_its_condition_left_out_stays_so_inside_containers(
    engine: Engine, players: Players
) -> None:
    steps = [step("v", when="iteration > 1"), step("w", "v", join="done"), step("k", "w")]
    players.failing["each#1/k"] = 1
    failed = await engine.run(
        flow({"id": "each", "loop": {"steps": steps, "until": "true", "max_iterations": 1}})
    )
    result = await again(engine, players, failed.run_id)
    assert (result.success, players.calls) == (True, ["each#1/k"])


async def test_a_round_that_is_retried_sees_what_the_round_before_gave(
    engine: Engine, players: Players
) -> None:
    draft = step("draft", params={"before": "${iteration == 1 ? 0 : critique.call}"})
    loop = {"steps": [draft, step("critique", "draft")], "until": "iteration == 2"}
    players.failing["each#2/draft"] = 1
    failed = await engine.run(flow({"id": "each", "loop": {**loop, "max_iterations": 3}}))
    assert failed.status == "failed"
    result = await again(engine, players, failed.run_id)
    assert (result.success, players.calls) == (True, ["each#2/draft", "each#2/critique"])
    assert players.tasks[-2].params == {"before": 1}
