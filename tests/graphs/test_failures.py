"""A failure is tried again by its cause, then becomes data, and hurts nothing but its run."""

import asyncio
import math
from typing import Any

import httpx2
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st
from langgraph.errors import NodeCancelledError
from openai import AuthenticationError, RateLimitError
from pydantic import BaseModel, ValidationError

from stretto.agents.agent import FunctionAgent, Task
from stretto.errors import (
    BudgetExceeded,
    CircuitOpen,
    ConfigurationError,
    NoAgentFor,
    StepFailed,
    StepTimedOut,
)
from stretto.graphs.attempts import wait_before_retry
from stretto.graphs.causes import is_retryable, retry_after
from stretto.graphs.spec import Retry
from tests.graphs.running import Cast, Counting, Stage, open_activations, perform

FAST = {"attempts": 3, "delay": 0.001, "max_delay": 0.01}


class Number(BaseModel):
    n: int


def invalid() -> ValidationError:
    try:
        Number.model_validate({"n": "x"})
    except ValidationError as error:
        return error
    raise AssertionError


def answered(status: int, **headers: str) -> httpx2.HTTPStatusError:
    request = httpx2.Request("GET", "http://example.com")
    response = httpx2.Response(status, request=request, headers=headers)
    return httpx2.HTTPStatusError("no", request=request, response=response)


def one(agent: str = "counting", **policy: Any) -> list[dict[str, Any]]:
    return [{"id": "a", "agent": agent, **policy}]


# Retries by cause

AGAIN = [
    ConnectionError("reset"),
    TimeoutError("slow"),
    OSError("broken pipe"),
    httpx2.ConnectError("refused"),
    httpx2.ReadTimeout("slow"),
    RuntimeError("the agent's own"),
    StepTimedOut("late", retryable=True),
    CircuitOpen("open", retryable=True),
    *(answered(status) for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
]
NEVER = [
    ValueError("bad"),
    TypeError("bad"),
    KeyError("bad"),
    AttributeError("bad"),
    ZeroDivisionError("bad"),
    NotImplementedError("bad"),
    FileNotFoundError("bad"),
    PermissionError("bad"),
    AssertionError("bad"),
    RecursionError("bad"),
    ImportError("bad"),
    StepFailed("said so"),
    BudgetExceeded("spent"),
    ConfigurationError("no key"),
    NoAgentFor("nobody"),
    invalid(),
    *(answered(status) for status in (400, 401, 403, 404, 405, 410, 422, 451)),
]


@pytest.mark.parametrize("error", AGAIN, ids=repr)
async def test_what_may_pass_is_tried_again(error: Exception) -> None:
    agent = Counting([error, error])
    ran = await perform(one(retry=FAST), [agent])
    assert (ran.output, agent.calls) == ("done", [1, 2, 3])
    assert ran.state["records"]["a"]["attempts"] == 3


@pytest.mark.parametrize("error", NEVER, ids=lambda e: type(e).__name__ + str(e)[:20])
async def test_what_would_fail_the_same_way_is_not_tried_again(error: Exception) -> None:
    agent = Counting([error])
    ran = await perform(one(retry=FAST), [agent])
    assert (ran.success, agent.calls) == (False, [1])


def test_errors_of_model_clients_are_judged_by_their_status() -> None:
    request = httpx2.Request("POST", "http://example.com")
    headers = {"retry-after": "7"}
    limited = httpx2.Response(429, request=request, headers=headers)
    refused = httpx2.Response(401, request=request)
    too_many = RateLimitError("limit", response=limited, body=None)
    no_key = AuthenticationError("key", response=refused, body=None)
    assert (is_retryable(too_many), is_retryable(no_key)) == (True, False)
    assert (retry_after(too_many), retry_after(no_key)) == (7.0, None)


async def test_the_last_failure_is_told_after_all_attempts() -> None:
    agent = Counting([ConnectionError(str(n)) for n in range(9)])
    ran = await perform(one(retry=FAST), [agent])
    error = ran.summary.errors[0]
    assert (error.code, error.message, error.attempts) == (
        "agent_failed",
        "ConnectionError: 2",
        3,
    )


async def test_a_step_without_retry_is_tried_once() -> None:
    agent = Counting([ConnectionError("x")])
    ran = await perform(one(), [agent])
    assert (ran.success, agent.calls) == (False, [1])


async def test_the_run_has_only_so_many_retries_in_all() -> None:
    agents = [Counting([ConnectionError("x")] * 9) for _ in range(2)]
    agents[1].name = "second"
    steps = [
        {"id": "a", "agent": "counting", "retry": {**FAST, "attempts": 9}, "on_error": "continue"},
        {
            "id": "b",
            "agent": "second",
            "retry": FAST,
            "depends_on": ["a"],
            "join": "done",
        },
    ]
    ran = await perform(steps, agents, max_total_retries=4)
    assert [len(agent.calls) for agent in agents] == [5, 1]
    assert not ran.success


# How long is waited

PLAIN = Retry(attempts=2, delay=2, max_delay=60, jitter=False)


def wait(retry: Retry, attempt: int, error: BaseException | None = None) -> float:
    state = tenacity.RetryCallState(tenacity.AsyncRetrying(), None, (), {})
    state.attempt_number = attempt
    state.set_exception((Exception, error or ConnectionError("x"), None))
    return wait_before_retry(retry, state)


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ("exponential", [2, 4, 8, 16, 20, 20]),
        ("linear", [2, 4, 6, 8, 10, 12]),
        ("fixed", [2, 2, 2, 2, 2, 2]),
    ],
)
def test_each_backoff_grows_as_it_should_up_to_the_longest(
    backoff: Any, waits: list[float]
) -> None:
    retry = Retry(attempts=9, backoff=backoff, delay=2, max_delay=20, jitter=False)
    assert [wait(retry, n) for n in range(1, 7)] == waits


@given(st.floats(0, 100), st.integers(1, 20), st.sampled_from(["exponential", "linear", "fixed"]))
def test_jitter_adds_up_to_a_quarter_and_never_exceeds_the_longest(
    delay: float, attempt: int, backoff: Any
) -> None:
    plain = Retry(attempts=9, backoff=backoff, delay=delay, max_delay=60, jitter=False)
    shaken = plain.model_copy(update={"jitter": True})
    base = wait(plain, attempt)
    assert base <= wait(shaken, attempt) <= min(base * 1.25, 60.0) + 1e-9


def test_jitter_differs_from_call_to_call() -> None:
    assert len({wait(Retry.model_validate({"delay": 8}), 1) for _ in range(20)}) > 1


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("0", 2.0), ("900", 60.0)])
def test_retry_after_is_honoured_up_to_the_longest_wait(asked: str, waited: float) -> None:
    error = answered(429, **{"retry-after": asked})
    assert wait(PLAIN, 1, error) == waited


def test_retry_after_in_words_that_are_no_number_is_left_alone() -> None:
    error = answered(429, **{"retry-after": "soon"})
    assert wait(PLAIN, 1, error) == 2.0


# Deadlines


async def hang(task: Task) -> None:
    await asyncio.Event().wait()


async def test_an_agent_that_hangs_is_stopped_at_its_deadline_and_tried_again() -> None:
    starts: list[int] = []

    async def sticky(task: Task) -> str:
        starts.append(task.attempt)
        if task.attempt == 1:
            await asyncio.Event().wait()
        return "second time"

    ran = await perform(one("sticky", timeout=0.02, retry=FAST), [FunctionAgent(sticky)])
    assert (ran.output, starts) == ("second time", [1, 2])


async def test_a_deadline_is_told_apart_from_the_agents_own_timeout() -> None:
    async def own(task: Task) -> None:
        raise TimeoutError("the database was slow")

    steps = [
        {"id": "late", "agent": "hang", "timeout": 0.01, "on_error": "continue"},
        {"id": "own", "agent": "own", "timeout": 10, "on_error": "continue"},
    ]
    ran = await perform(steps, [FunctionAgent(hang), FunctionAgent(own)])
    told = {e.step: (e.code, e.message) for e in ran.summary.errors}
    assert told == {
        "late": ("step_timed_out", "agent 'hang' did not finish within 0.01 s"),
        "own": ("timed_out", "the database was slow"),
    }


async def test_a_thread_that_hangs_is_left_behind_at_its_deadline() -> None:
    import threading

    release = threading.Event()
    try:
        agent = FunctionAgent(lambda task: release.wait(), name="stuck", max_concurrent_tasks=50)
        steps = [
            {"id": f"s{n}", "agent": "stuck", "timeout": 0.05, "on_error": "continue"}
            for n in range(40)
        ]
        other = FunctionAgent(lambda task: "done", name="other")
        needs = [step["id"] for step in steps]
        after = {"id": "z", "agent": "other", "join": "done", "depends_on": needs}
        ran = await perform([*steps, after], [agent, other])
    finally:
        release.set()
    assert ran.statuses["z"] == "completed"
    assert {code for _, code in ran.errors} == {"step_timed_out"}


# Budget


async def test_no_call_is_made_once_the_budget_is_used() -> None:
    cast = Cast()

    async def spend(task: Task) -> str:
        task.usage.input_tokens += 6
        return "spent"

    steps = [
        {"id": "a", "agent": "spend"},
        {"id": "b", "agent": "spend", "depends_on": ["a"]},
        {"id": "c", "agent": "ok", "depends_on": ["b"]},
    ]
    ran = await perform(steps, [*cast, FunctionAgent(spend)], budget={"tokens": 10})
    assert (ran.errors, cast.log) == ([("c", "budget_exceeded")], [])
    assert ran.summary.outputs == {"a": "spent", "b": "spent"}


# What follows a failure


async def test_a_fallback_value_stands_in_and_may_use_what_is_there() -> None:
    steps = [
        {"id": "a", "agent": "ok"},
        {
            "id": "b",
            "agent": "boom",
            "depends_on": ["a"],
            "on_error": {"fallback": {"instead": "${a}"}},
        },
    ]
    ran = await perform(steps, Cast())
    assert (ran.success, ran.output) == (True, {"instead": "a"})
    assert ran.state["records"]["b"]["code"] == "boom"


async def test_a_fallback_that_cannot_be_filled_in_is_a_failure_like_any_other() -> None:
    ran = await perform(
        [*one("boom", on_error={"fallback": "${input.missing.x}"}), {"id": "b", "agent": "ok"}],
        Cast(),
    )
    assert ran.errors == [("a", "expression_failed")]


async def test_another_agent_is_asked_with_the_same_task() -> None:
    cast = Cast()
    ran = await perform(
        one("boom", on_error={"agent": "echo"}, input={"x": 1}), cast, input={"y": 2}
    )
    assert (ran.success, ran.output) == (True, {"x": 1})
    assert ran.state["records"]["a"]["agent"] == "echo"


async def test_the_other_agents_failure_is_the_one_that_is_told() -> None:
    async def worse(task: Task) -> None:
        raise StepFailed("worse", code="worse")

    ran = await perform(one("boom", on_error={"agent": "worse"}), [*Cast(), FunctionAgent(worse)])
    assert ran.errors == [("a", "worse")]


async def test_after_a_failure_steps_at_work_end_and_no_other_begins() -> None:
    cast = Cast()

    async def fail_then_open(task: Task) -> None:
        cast.gate("at_work").set()
        raise StepFailed("boom")

    steps = [
        {"id": "at_work", "agent": "gated"},
        {"id": "bad", "agent": "bad"},
        {"id": "next", "agent": "ok", "depends_on": ["at_work"]},
        {"id": "never", "agent": "ok", "depends_on": ["next"]},
    ]
    ran = await perform(steps, [*cast, FunctionAgent(fail_then_open, name="bad")])
    assert ran.statuses == {
        "at_work": "completed",
        "bad": "failed",
        "never": "not_run",
        "next": "not_run",
    }
    assert cast.log == ["at_work"]
    assert ran.summary.outputs == {"at_work": "at_work"}
    assert ran.state["skipped"]["next"] == "'bad' failed before it could start"


async def test_steps_that_wait_for_a_slot_do_not_begin_after_a_failure() -> None:
    cast = Cast()
    steps = [{"id": "a", "agent": "boom"}, *({"id": f"b{n}", "agent": "ok"} for n in range(5))]
    ran = await perform(steps, cast, max_parallel_steps=1, mode="parallel")
    assert cast.log == ["a"]
    assert [ran.statuses[f"b{n}"] for n in range(5)] == ["not_run"] * 5


async def test_a_guard_that_cannot_be_evaluated_fails_its_step() -> None:
    cast = Cast()
    ran = await perform(one("ok", when="input.x.y.z > 1"), cast)
    assert (ran.errors, cast.log) == ([("a", "expression_failed")], [])


# Agents that misbehave hurt only their own run


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "value",
    [object(), math.nan, math.inf, {"deep": [math.nan]}, 2**64, [-(2**63) - 1], circle(), b"\xff"],
    ids=lambda v: type(v).__name__,
)
async def test_what_is_no_json_fails_its_step(value: Any) -> None:
    async def odd(task: Task) -> Any:
        return value

    ran = await perform(one("odd"), [FunctionAgent(odd)])
    assert ran.errors == [("a", "not_json")]


async def test_what_has_a_json_form_is_turned_into_it() -> None:
    async def rich(task: Task) -> Any:
        return {"model": Number(n=1), "set": {2}, "tuple": (3, None), "big": 2**63, 5: "key"}

    ran = await perform(one("rich"), [FunctionAgent(rich)])
    assert ran.output == {
        "model": {"n": 1},
        "set": [2],
        "tuple": [3, None],
        "big": 2**63,
        "5": "key",
    }


def stop_iteration(task: Task) -> Any:
    return next(iter([]))


async def cancel_itself(task: Task) -> None:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(0)


async def raise_cancelled(task: Task) -> None:
    raise asyncio.CancelledError


def end_the_process(task: Task) -> None:
    raise SystemExit(3)


async def end_the_process_slowly(task: Task) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("agent", "code"),
    [
        (stop_iteration, "agent_failed"),
        (raise_cancelled, "step_failed"),
        (end_the_process, "step_failed"),
        (end_the_process_slowly, "step_failed"),
    ],
)
async def test_an_agent_that_tries_to_end_more_than_its_call_fails_alone(
    agent: Any, code: str
) -> None:
    steps = [
        {"id": "bad", "agent": agent.__name__, "on_error": "continue"},
        {"id": "good", "agent": "gated"},
        {"id": "after", "agent": "open", "depends_on": ["bad"], "join": "done"},
    ]
    cast = Cast()

    async def release(task: Task) -> None:
        cast.gate("good").set()

    agents = [*cast, FunctionAgent(agent), FunctionAgent(release, name="open")]
    ran = await perform(steps, agents)
    assert ran.statuses == {"after": "completed", "bad": "failed", "good": "completed"}
    assert ran.errors == [("bad", code)]


async def test_an_agent_that_cancels_the_task_it_runs_in_ends_its_run_and_no_other() -> None:
    async def maybe_cancel(task: Task) -> str:
        if task.input["cancel"]:
            await cancel_itself(task)
        await gate.wait()
        return "fine"

    gate = asyncio.Event()
    stage = Stage([{"id": "a", "agent": "maybe"}], [FunctionAgent(maybe_cancel, name="maybe")])
    other = asyncio.create_task(stage.run({"cancel": False}, "other"))
    with pytest.raises(NodeCancelledError):
        await stage.run({"cancel": True}, "one")
    gate.set()
    assert (await other).output == "fine"
    assert open_activations() == 0


async def test_another_run_does_not_notice_an_agent_that_hangs() -> None:
    stage = Stage([{"id": "a", "agent": "maybe"}], [FunctionAgent(maybe_hang, name="maybe")])
    hanging = asyncio.create_task(stage.run({"hang": True}, "one"))
    ran = await stage.run({"hang": False}, "two")
    assert (ran.output, hanging.done()) == ("fine", False)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging


async def maybe_hang(task: Task) -> str:
    if task.input["hang"]:
        await asyncio.Event().wait()
    return "fine"


async def test_fifty_thousand_tokens_pass_in_order() -> None:
    async def flood(task: Task) -> Any:
        for number in range(50_000):
            yield f"{number} "

    agent = FunctionAgent(flood, name="flood")
    ran, events = await Stage(one("flood"), [agent]).narrate()
    tokens = [e.data["content"] for e in events if e.event == "agent_stream"]
    assert tokens == [f"{number} " for number in range(50_000)]
    assert ran.output == "".join(tokens)
