"""What stands between a step and its agent: the wait for a slot, and the circuit breaker."""

import asyncio
import time

from benchmarks.journal import WrongRun
from benchmarks.report import STRETTO, Row, Target
from benchmarks.scenarios.plan import Plan
from stretto.agents.breaker import Breakers
from stretto.agents.dispatch import Dispatcher, Gate
from stretto.agents.registry import RegisteredAgent
from stretto.errors import CircuitOpen
from stretto.graphs.causes import counts_against_agent

DISPATCH_TARGET = Target(30.0)
REFUSAL_TARGET = Target(50.0)
OUTAGE_TARGET = Target(10.0)
CLOSING_TARGET = Target(15.0)
OUTAGE_SECONDS, PER_SECOND = 60, 20


async def measure_dispatch(plan: Plan) -> list[Row]:
    """Calls that wait for the one slot of an agent, beside many others that wait for it."""
    waiting, calls = plan.size(1000, 20), plan.size(10_000, 50)
    rows: list[Row] = []
    for runs in (1, waiting):
        taken = [await _per_call(waiting, calls, runs) for _ in range(plan.warmups + plan.rounds)]
        samples = {STRETTO: [seconds * 1e6 for seconds in taken[plan.warmups :]]}
        case = f"slot of an agent, {waiting:,} waiting tasks of {runs:,} run" + "s" * (runs > 1)
        rows.append(Row("j", case, "µs per call", samples, DISPATCH_TARGET))
    return rows


async def _per_call(waiting: int, calls: int, runs: int) -> float:
    """Give the seconds that taking a slot and giving it back takes, with the change of tasks."""
    dispatcher, agent = Dispatcher(), RegisteredAgent("worker", frozenset(), 1, None)
    gates = [Gate() for _ in range(runs)]
    made = 0

    async def work(number: int) -> None:
        nonlocal made
        rank = number % 7, 0.0, ()
        while made < calls:
            slot = await dispatcher.acquire((agent,), gates[number % runs], lambda: rank)
            made += 1
            dispatcher.release(slot)

    held = await dispatcher.acquire((agent,), Gate(), tuple)
    tasks = [asyncio.create_task(work(number)) for number in range(waiting)]
    await asyncio.sleep(0)
    if dispatcher.waiting() != waiting:
        raise WrongRun("not all of them wait")
    started = time.perf_counter()
    dispatcher.release(held)
    await asyncio.gather(*tasks)
    seconds = time.perf_counter() - started
    if made < calls or dispatcher.load() != {"worker": 0}:
        raise WrongRun("a slot was lost")
    return seconds / made


async def measure_breaker(plan: Plan) -> list[Row]:
    """An outage of a minute, on a clock that is moved: its calls, its end, and its refusals."""
    calls: list[float] = []
    closed: list[float] = []
    refusals: list[float] = []
    for _ in range(plan.rounds):
        minute = await _outage(OUTAGE_SECONDS)
        calls.append(minute[0])
        refusals.append(minute[2])
        # When the repair comes matters: right after a trial is the worst.
        longer = [await _outage(OUTAGE_SECONDS + later / 4) for later in range(60)]
        closed.append(max(after for _, after, _ in longer))
    case = f"{OUTAGE_SECONDS} s of outage at {PER_SECOND} requests/s"
    return [
        Row("k", case, "calls let through", {STRETTO: calls}, OUTAGE_TARGET),
        Row("k", case, "s from repair to closed, worst", {STRETTO: closed}, CLOSING_TARGET),
        Row("k", case, "ms per refusal, p99", {STRETTO: refusals}, REFUSAL_TARGET),
    ]


async def _outage(outage: float) -> tuple[float, float, float]:
    """Give the calls during the outage, when it closed, and the 99th percentile of refusals."""
    now, calls = 0.0, 0
    breakers = Breakers(counts_against_agent, clock=lambda: now)
    refusals: list[float] = []

    async def call() -> None:
        nonlocal calls
        if now < outage:
            calls += 1
            raise ConnectionError("down")

    while now < outage or breakers.state("agent") != "closed":
        started = time.perf_counter()
        try:
            await breakers.run("agent", call)
        except CircuitOpen:
            refusals.append(time.perf_counter() - started)
        except ConnectionError:
            pass
        now += 1 / PER_SECOND
    refusals.sort()
    return calls, now - outage, refusals[len(refusals) * 99 // 100] * 1000
