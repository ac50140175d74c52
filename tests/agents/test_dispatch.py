"""Slots go to the most urgent work and to the least loaded agent, and none is ever lost."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stretto.agents.dispatch import Dispatcher, Gate, Slot
from stretto.agents.registry import RegisteredAgent


def agent(name: str = "a", slots: int = 1) -> RegisteredAgent:
    return RegisteredAgent(name, frozenset(), slots, None)


class Queue:
    """Work that waits for one agent, and the order in which it got its turn."""

    def __init__(self, dispatcher: Dispatcher, *agents: RegisteredAgent, run: Gate | None = None):
        self.dispatcher = dispatcher
        self.agents = agents
        self.run = run or Gate()
        self.order: list[Any] = []

    async def work(self, name: Any, rank: tuple[Any, ...] | None = None) -> None:
        slot = await self.dispatcher.acquire(self.agents, self.run, lambda: rank or ())
        try:
            self.order.append(name)
            await asyncio.sleep(0)
        finally:
            self.dispatcher.release(slot)

    async def hold(self) -> Slot:
        return await self.dispatcher.acquire(self.agents, self.run, tuple)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_most_urgent_goes_first_and_equals_in_order_of_arrival() -> None:
    queue = Queue(Dispatcher(), agent())
    slot = await queue.hold()
    ranks = [(2, "x"), (1, "y"), (2, "z"), (0, "w")]
    work = [asyncio.create_task(queue.work(name, (rank,))) for rank, name in ranks]
    await turns()
    queue.dispatcher.release(slot)
    await asyncio.gather(*work)
    assert queue.order == ["w", "y", "x", "z"]


async def test_the_most_urgent_of_two_runs_goes_first() -> None:
    dispatcher = Dispatcher(limit=1)
    order: list[Any] = []
    low, high = Queue(dispatcher, agent("a")), Queue(dispatcher, agent("b"))
    low.order = high.order = order
    slot = await low.hold()
    work = [asyncio.create_task(low.work(f"low {n}", (3,))) for n in range(2)]
    work += [asyncio.create_task(high.work(f"high {n}", (0,))) for n in range(2)]
    await turns()
    dispatcher.release(slot)
    await asyncio.gather(*work)
    assert order == ["high 0", "high 1", "low 0", "low 1"]


@pytest.mark.parametrize("places", [((), (-9.0,)), ((-9.0,), ()), ((-1.0,), (-9.0,))])
async def test_places_in_a_run_count_within_it_and_arrival_between_runs(
    places: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    dispatcher = Dispatcher()
    first, second = Queue(dispatcher, agent()), Queue(dispatcher, agent())
    second.order = first.order
    slot = await first.hold()
    work: list[asyncio.Task[None]] = []
    for number, (queue, place) in enumerate(((first, places[0]), (second, places[1]))):
        work.append(asyncio.create_task(queue.work(number, (2, 0.0, place))))
        await turns()
    work.append(asyncio.create_task(second.work("boosted", (2, -1.0, ()))))
    await turns()
    dispatcher.release(slot)
    await asyncio.gather(*work)
    assert first.order == ["boosted", 0, 1]


async def test_within_a_run_the_place_decides_whichever_agents_the_work_needs() -> None:
    run, dispatcher = Gate(1), Dispatcher()
    first, second = (Queue(dispatcher, agent(name), run=run) for name in ("a", "b"))
    second.order = first.order
    slot = await first.hold()
    work = [asyncio.create_task(first.work("near the end", (2, 0.0, (-1.0,))))]
    await turns()
    work.append(asyncio.create_task(second.work("critical", (2, 0.0, (-9.0,)))))
    await turns()
    dispatcher.release(slot)
    await asyncio.gather(*work)
    assert first.order == ["critical", "near the end"]


async def test_work_that_nobody_can_do_now_does_not_hold_up_other_work() -> None:
    dispatcher = Dispatcher()
    busy, free = Queue(dispatcher, agent("busy")), Queue(dispatcher, agent("free"))
    slot = await busy.hold()
    waiting = asyncio.create_task(busy.work("urgent", (0,)))
    await turns()
    await free.work("other", (9,))
    assert (free.order, waiting.done(), dispatcher.waiting()) == (["other"], False, 1)
    dispatcher.release(slot)
    await waiting


async def test_the_least_loaded_agent_is_chosen() -> None:
    dispatcher = Dispatcher()
    queue = Queue(dispatcher, agent("small", 2), agent("large", 4))
    names = [slot.agent.name for slot in [await queue.hold() for _ in range(6)] if slot.agent]
    assert names == ["small", "large", "large", "small", "large", "large"]
    assert dispatcher.load() == {"small": 2, "large": 4}


async def test_an_agent_that_is_full_is_passed_over() -> None:
    dispatcher = Dispatcher()
    alone = Queue(dispatcher, agent("x", 1))
    await alone.hold()
    both = Queue(dispatcher, agent("x", 1), agent("y", 1))
    slot = await both.hold()
    assert slot.agent is not None and slot.agent.name == "y"


async def test_work_without_an_agent_takes_a_slot_of_the_run() -> None:
    queue = Queue(Dispatcher(), run=Gate(1))
    slot = await queue.hold()
    assert (slot.agent, queue.run.used, queue.run.free) == (None, 1, False)
    queue.dispatcher.release(slot)
    assert (queue.run.used, queue.run.load) == (0, 0.0)


async def test_ranks_are_asked_again_after_they_changed() -> None:
    queue = Queue(Dispatcher(), agent())
    ranks = {"first": 1, "second": 2}
    slot = await queue.hold()

    async def work(name: str) -> None:
        held = await queue.dispatcher.acquire(queue.agents, queue.run, lambda: (ranks[name],))
        queue.order.append(name)
        queue.dispatcher.release(held)

    waiting = [asyncio.create_task(work(name)) for name in ranks]
    await turns()
    ranks["second"] = 0
    queue.dispatcher.reorder()
    queue.dispatcher.release(slot)
    await asyncio.gather(*waiting)
    assert queue.order == ["second", "first"]


async def test_work_cancelled_while_it_waits_leaves_the_slot_to_the_next() -> None:
    queue = Queue(Dispatcher(), agent())
    slot = await queue.hold()
    gone = asyncio.create_task(queue.work("gone", (0,)))
    stays = asyncio.create_task(queue.work("stays", (1,)))
    await turns()
    gone.cancel()
    await turns()
    assert queue.dispatcher.waiting() == 1
    queue.dispatcher.release(slot)
    await stays
    assert (queue.order, queue.dispatcher.load()) == (["stays"], {"a": 0})


async def test_work_cancelled_just_as_it_got_the_slot_gives_it_back() -> None:
    queue = Queue(Dispatcher(), agent())
    slot = await queue.hold()
    gone = asyncio.create_task(queue.work("gone", (0,)))
    stays = asyncio.create_task(queue.work("stays", (1,)))
    await turns()
    queue.dispatcher.release(slot)  # the slot is promised to the first, which has not woken yet
    gone.cancel()
    await stays
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (queue.order, queue.dispatcher.load(), queue.run.used) == (["stays"], {"a": 0}, 0)


async def test_a_thousand_that_wait_all_get_their_turn() -> None:
    dispatcher = Dispatcher(limit=7)
    queue = Queue(dispatcher, agent("a", 3), agent("b", 5), run=Gate(6))
    work = [asyncio.create_task(queue.work(n, (n % 5,))) for n in range(1000)]
    await turns(1)
    for task in work[::10]:
        task.cancel()
    done = await asyncio.gather(*work, return_exceptions=True)
    cancelled = sum(isinstance(result, asyncio.CancelledError) for result in done)
    assert len(queue.order) + cancelled >= 1000
    assert set(range(1000)) - set(queue.order) <= set(range(0, 1000, 10))
    assert (dispatcher.load(), dispatcher.waiting(), queue.run.used) == ({"a": 0, "b": 0}, 0, 0)


AGENTS = {name: agent(name, slots) for name, slots in (("a", 1), ("b", 2), ("c", 3))}
CHOICES = ((), ("a",), ("b",), ("a", "b"), ("b", "c"), ("a", "b", "c"))


class DispatcherMachine(RuleBasedStateMachine):
    """Anything may ask, give back or give up at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.dispatcher = Dispatcher(limit=4)
        self.runs = [Gate(2), Gate(3), Gate()]
        self.asked: list[tuple[asyncio.Task[Slot], Gate, tuple[str, ...]]] = []

    def settle(self) -> None:
        self.loop.run_until_complete(turns())

    @property
    def held(self) -> list[tuple[asyncio.Task[Slot], Gate, tuple[str, ...]]]:
        return [entry for entry in self.asked if entry[0].done()]

    @property
    def waiting(self) -> list[tuple[asyncio.Task[Slot], Gate, tuple[str, ...]]]:
        return [entry for entry in self.asked if not entry[0].done()]

    @rule(names=st.sampled_from(CHOICES), run=st.integers(0, 2), rank=st.integers(0, 3))
    def ask(self, names: tuple[str, ...], run: int, rank: int) -> None:
        gate = self.runs[run]
        wanted = tuple(AGENTS[name] for name in names)
        work = self.dispatcher.acquire(wanted, gate, lambda: (rank,))
        self.asked.append((self.loop.create_task(work), gate, names))
        self.settle()

    @precondition(lambda self: self.held)
    @rule(number=st.integers(0, 99))
    def give_back(self, number: int) -> None:
        entry = self.held[number % len(self.held)]
        self.asked.remove(entry)
        self.dispatcher.release(entry[0].result())
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(number=st.integers(0, 99), at_once=st.booleans())
    def give_up(self, number: int, at_once: bool) -> None:
        entry = self.waiting[number % len(self.waiting)]
        if at_once and self.held:  # while a slot may just have been promised to it
            other = self.held[0]
            self.asked.remove(other)
            self.dispatcher.release(other[0].result())
        entry[0].cancel()
        self.asked.remove(entry)
        self.settle()
        assert entry[0].cancelled()

    @invariant()
    def no_limit_is_exceeded_and_none_is_lost(self) -> None:
        assert len(self.held) <= 4
        for gate in self.runs:
            using = sum(run is gate for _, run, _ in self.held)
            assert using == gate.used
            assert gate.limit is None or using <= gate.limit
        chosen = [task.result().agent for task, _, _ in self.held]
        for name, known in AGENTS.items():
            using = sum(found is known for found in chosen)
            assert using == self.dispatcher.load().get(name, 0) <= known.max_concurrent_tasks
        assert self.dispatcher.waiting() == len(self.waiting)

    @invariant()
    def nothing_waits_that_could_go(self) -> None:
        load = self.dispatcher.load()
        for _, run, names in self.waiting:
            room = not names or any(
                load.get(name, 0) < AGENTS[name].max_concurrent_tasks for name in names
            )
            assert len(self.held) == 4 or not run.free or not room

    def teardown(self) -> None:
        for task, _, _ in self.waiting:
            task.cancel()
            with suppress(asyncio.CancelledError):
                self.loop.run_until_complete(task)
        self.loop.close()


TestDispatcher = DispatcherMachine.TestCase
TestDispatcher.settings = settings(max_examples=40, stateful_step_count=30)


async def chosen(dispatcher: Dispatcher, *names: str) -> str:
    """Tell which of some idle agents is chosen."""
    agents = tuple(agent(name) for name in names)
    slot = await dispatcher.acquire(agents, Gate(), tuple)
    dispatcher.release(slot)
    assert slot.agent is not None
    return slot.agent.name


async def test_of_equally_loaded_agents_the_fastest_is_chosen_then_the_first() -> None:
    seconds = {"slow": 2.0, "fast": 0.5, "also fast": 0.5}
    dispatcher = Dispatcher(judge=lambda agent: (False, seconds.get(agent.name, 0.0)))
    assert await chosen(dispatcher, "slow", "fast", "also fast") == "fast"
    assert await chosen(dispatcher, "slow", "also fast", "fast") == "also fast"
    assert await chosen(dispatcher, "fast", "never measured") == "never measured"
    assert await chosen(Dispatcher(), "b", "a") == "b"


async def test_an_agent_that_refuses_calls_is_chosen_only_if_all_do() -> None:
    refusing = {"ill"}
    dispatcher = Dispatcher(judge=lambda agent: (agent.name in refusing, 0.0))
    assert await chosen(dispatcher, "ill", "well") == "well"
    both = Queue(dispatcher, agent("ill"), agent("well"))
    slot = await both.hold()
    waiting = asyncio.create_task(both.work("waits for the one that is well"))
    await turns()
    assert not waiting.done()
    dispatcher.release(slot)
    await waiting
    refusing.add("well")
    assert await chosen(dispatcher, "ill", "well") == "ill"


async def test_work_that_waits_is_counted_by_agent() -> None:
    dispatcher = Dispatcher()
    one, both = Queue(dispatcher, agent("x")), Queue(dispatcher, agent("x"), agent("y"))
    slots = [await one.hold(), await both.hold()]
    waiting = [asyncio.create_task(queue.work(1)) for queue in (one, both, both)]
    await turns()
    assert (dispatcher.waiting_for(), dispatcher.waiting()) == ({"x": 3, "y": 2}, 3)
    for slot in slots:
        dispatcher.release(slot)
    await asyncio.gather(*waiting)
    assert dispatcher.waiting_for() == {}


async def test_a_run_that_has_no_slot_left_lets_others_pass_and_comes_back() -> None:
    dispatcher = Dispatcher()
    full, other = Queue(dispatcher, agent(), run=Gate(1)), Queue(dispatcher, agent())
    other.order = full.order
    held = await full.hold()  # the only slot of the agent and of the run
    work = [asyncio.create_task(full.work("first", (0,)))]
    away = Queue(dispatcher, agent("b"), run=full.run)
    work.append(asyncio.create_task(away.work("elsewhere", (5,))))
    work.append(asyncio.create_task(other.work("other run", (9,))))
    await turns()
    dispatcher.release(held)
    await asyncio.gather(*work)
    assert set(full.order) == {"first", "other run"}
    assert full.order[0] == "first"
    assert away.order == ["elsewhere"]


async def test_more_urgent_work_of_a_run_is_not_hidden_behind_that_of_another() -> None:
    run, dispatcher = Gate(1), Dispatcher()
    mine, theirs = Queue(dispatcher, agent("a", 2), run=run), Queue(dispatcher, agent("a", 2))
    beside = Queue(dispatcher, agent("b"), run=run)
    mine.order = theirs.order = beside.order
    slots = [await mine.hold(), await theirs.hold()]
    work: list[asyncio.Task[None]] = []
    for queue, name, place in (
        (beside, "near the end", -1.0),
        (theirs, "of another run", -5.0),
        (mine, "critical", -9.0),
    ):
        work.append(asyncio.create_task(queue.work(name, (2, 0.0, (place,)))))
        await turns()
    for slot in slots:
        dispatcher.release(slot)
    await asyncio.gather(*work)
    assert beside.order.index("critical") < beside.order.index("near the end")


async def test_work_of_many_runs_goes_by_priority_then_arrival() -> None:
    dispatcher = Dispatcher()
    first = Queue(dispatcher, agent())
    slot = await first.hold()
    queues = [Queue(dispatcher, agent()) for _ in range(100)]
    work: list[asyncio.Task[None]] = []
    for number, queue in enumerate(queues):
        queue.order = first.order
        work.append(asyncio.create_task(queue.work(number, (number % 3, 0.0, ()))))
    await turns()
    for gone in range(0, 100, 7):
        work[gone].cancel()
    dispatcher.release(slot)
    await asyncio.gather(*work, return_exceptions=True)
    left = [number for number in range(100) if number % 7]
    assert first.order == sorted(left, key=lambda number: (number % 3, number))
    assert (dispatcher.waiting(), dispatcher.load()) == (0, {"a": 0})
