"""Every way in which a model's service misbehaves ends its step typed, in time, with few calls."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from stretto.agents.llm import LLMAgent
from stretto.agents.models import open_model
from tests.fakes.answers import Answer
from tests.fakes.openai_server import HUGE, OpenAIServer, openai_server
from tests.graphs.running import PATIENCE, Event, Ran, Stage

KEY = "key-1"
ATTEMPTS = 3
REJECTED, UNAUTHORIZED = "model_rejected", "model_unauthorized"
UNAVAILABLE, LIMITED = "model_unavailable", "rate_limited"
BAD, CUT, TIMED_OUT = "bad_answer", "truncated_answer", "step_timed_out"
MODES: dict[str, tuple[Answer, str]] = {
    "400": (Answer(status=400), REJECTED),
    "401": (Answer(status=401), UNAUTHORIZED),
    "403": (Answer(status=403), UNAUTHORIZED),
    "404": (Answer(status=404), REJECTED),
    "408": (Answer(status=408), UNAVAILABLE),
    "409": (Answer(status=409), UNAVAILABLE),
    "413": (Answer(status=413), REJECTED),
    "422": (Answer(status=422), REJECTED),
    "425": (Answer(status=425), UNAVAILABLE),
    "429": (Answer(status=429), LIMITED),
    "429 with Retry-After": (Answer(status=429, headers={"retry-after": "9"}), LIMITED),
    "500": (Answer(status=500), UNAVAILABLE),
    "502": (Answer(status=502), UNAVAILABLE),
    "503": (Answer(status=503), UNAVAILABLE),
    "529": (Answer(status=529), UNAVAILABLE),
    "hang": (Answer(fault="hang"), TIMED_OUT),
    "drip": (Answer(fault="drip"), TIMED_OUT),
    "cut": (Answer(fault="cut"), UNAVAILABLE),
    "reset": (Answer(fault="reset"), UNAVAILABLE),
    "no finish_reason": (Answer(finish_reason=None), CUT),
    "malformed JSON": (Answer(fault="malformed_json"), BAD),
    "malformed arguments": (Answer(fault="malformed_arguments"), BAD),
    "empty choices": (Answer(fault="empty_choices"), BAD),
    "content filter": (Answer(fault="content_filter"), "filtered_answer"),
    "huge body": (Answer(fault="huge_body"), BAD),
}
"""What the service does, and the code in which the step ends."""
STREAMED_CODES = {
    ("cut", True): CUT,  # the end of a stream may be any; only the answer tells that it is not all
    ("empty choices", False): "empty_answer",
    ("empty choices", True): CUT,
}
"""Where a streamed answer looks different from a whole one; the flag tells whether midway."""
ONE_CALL = {"400", "401", "403", "404", "413", "422", "content filter", "huge body"}


async def run_step(
    server: OpenAIServer, *, streams: bool = True, timeout: float = PATIENCE, **retry: Any
) -> tuple[Ran, list[Event]]:
    """Run a workflow of one step that asks the server's model."""
    model = open_model("openai:tiny-1", api_key=KEY, base_url=server.base_url)
    model.disable_streaming = not streams
    policy = {"attempts": ATTEMPTS, "delay": 0.001, "max_delay": 0.01, "jitter": False, **retry}
    step = {"id": "a", "agent": "say", "timeout": timeout, "retry": policy}
    return await Stage([step], [LLMAgent("say", "Say hi.", model)]).narrate()


async def all_left(server: OpenAIServer) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(call.client_left.wait() for call in server.calls))


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("midway", [False, True], ids=["at once", "midway"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_fault_ends_the_step_typed_after_few_calls(
    mode: str, midway: bool, streams: bool
) -> None:
    answer, code = MODES[mode]
    code = STREAMED_CODES.get((mode, midway), code) if streams else code
    slow = code == TIMED_OUT
    async with openai_server(replace(answer, midway=midway)) as server:
        ran, events = await run_step(server, streams=streams, timeout=0.3 if slow else PATIENCE)
        if slow or mode == "huge body":
            await all_left(server)
    assert (ran.success, ran.errors) == (False, [("a", code)])
    calls = len(server.calls)
    # An attempt whose time is up before it has reached the server is no call.
    assert calls in (range(1, ATTEMPTS + 1) if slow else [1 if mode in ONE_CALL else ATTEMPTS])
    assert all(call.sent < HUGE / 2 for call in server.calls)
    assert KEY not in f"{ran.state} {events}"


@pytest.mark.parametrize(("max_delay", "delay"), [(5, 1.0), (0.01, 0.01)])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_up_to_the_longest_delay(
    status: int, max_delay: float, delay: float
) -> None:
    limited = Answer(status=status, headers={"retry-after": "1"})
    async with openai_server(limited, Answer()) as server:
        ran, events = await run_step(server, max_delay=max_delay)
    assert [e.data["delay"] for e in events if e.event == "agent_retry"] == [delay]
    assert (ran.success, len(server.calls)) == (True, 2)


async def test_a_service_that_recovers_is_asked_until_it_answers() -> None:
    broken = Answer(status=500), Answer(fault="cut", midway=True)
    async with openai_server(*broken, Answer()) as server:
        ran, events = await run_step(server)
    assert (ran.success, len(server.calls)) == (True, 3)
    assert ran.output["text"] == "Hello there."
    retries = [event.data["code"] for event in events if event.event == "agent_retry"]
    assert retries == [UNAVAILABLE, CUT]


async def test_a_reader_who_drops_what_a_retry_takes_back_has_the_answer() -> None:
    said, dropped = "", list[str]()
    async with openai_server(Answer(fault="cut", midway=True), Answer()) as server:
        ran, events = await run_step(server)
    for event in events:
        if event.event == "agent_retry":
            dropped, said = [*dropped, said], ""
        elif event.event == "agent_stream":
            said += event.data["content"]
    assert dropped == ["Hello"]
    assert said == ran.output["text"] == "Hello there."
