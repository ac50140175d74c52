"""Which failures are tried again, and how long is waited before."""

from typing import Any

import httpx2
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st
from openai import AuthenticationError, RateLimitError
from pydantic import BaseModel, ValidationError

from stretto.errors import (
    BudgetExceeded,
    CircuitOpen,
    ConfigurationError,
    NoAgentFor,
    StepFailed,
    StepTimedOut,
)
from stretto.graphs.backoff import wait_before_retry
from stretto.graphs.causes import is_retryable, retry_after
from stretto.graphs.spec import Retry
from tests.graphs.running import Counting, perform

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


async def test_an_agent_that_is_left_alone_is_not_waited_for_when_there_is_another() -> None:
    agents = [Counting([CircuitOpen("open", retryable=True, retry_after=60.0)] * 9), Counting([])]
    agents[1].name = "other"
    policy: Any = {"retry": {"attempts": 3, "delay": 60.0}, "on_error": {"agent": "other"}}
    ran = await perform(one(**policy), agents)
    assert (ran.output, agents[0].calls) == ("done", [1])


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
