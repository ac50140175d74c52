"""What agents keep from call to call, on plain hosts: when it is saved, and what it may be."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.store.base import Op, PutOp, Result
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

from stretto import Agent, Task, agent
from stretto.agents.agent import FunctionAgent
from stretto.agents.human import Question
from stretto.agents.registry import AgentRegistry
from stretto.errors import StepFailed
from stretto.graphs.compile import make_services
from stretto.graphs.kept import MOST_KEYS
from stretto.memory.states import open_states
from tests.fakes import heavy
from tests.graphs.running import Stage, flow

TWICE = {"attempts": 2, "delay": 0.001}


@agent(stateful=True)
async def count(task: Task) -> Any:
    """Count the calls, and do what ``params.then`` says."""
    task.state["calls"] = task.state.get("calls", 0) + 1
    if then := task.params.get("then"):
        raise StepFailed(f"told to {then}", code="told", retryable=True)
    return task.state["calls"]


def chain(*params: dict[str, Any], agent: str = "count", **more: Any) -> list[dict[str, Any]]:
    """Give steps ``s0``, ``s1``, ... that call an agent one after the other."""
    return [
        {"id": f"s{n}", "agent": agent, "params": each, "depends_on": needs, **more}
        for n, each in enumerate(params)
        for needs in [[f"s{n - 1}"] if n else []]
    ]


def kept(stage: "Keeping", name: str = "count") -> dict[str, Any]:
    items = stage.store.search(("stretto", "agents", name), limit=2000)
    return {item.key: item.value["value"] for item in items}


class Keeping(Stage):
    """A stage with a store that a test looks into."""

    def __init__(self, steps: Sequence[Any], agents: Iterable[Any], **more: Any) -> None:
        self.store: Any = more.pop("store", None) or InMemoryStore()
        services = replace(make_services(agents), states=self.store)
        super().__init__(steps, (), services=services, **more)


async def of_state(*does: Callable[[Any], Any], **more: Any) -> tuple[list[Any], dict[str, Any]]:
    """Let calls do something with the state, one after the other; give outputs, and what is kept.

    A failure is given in place of the outputs.
    """

    @agent(name="count", stateful=True)
    async def act(task: Task) -> Any:
        number: int = task.params["n"]
        return does[number](task.state)

    steps = chain(*({"n": n} for n in range(len(does))), **more)
    stage = Keeping(steps, [act])
    ran = await stage.run()
    outputs = [ran.summary.outputs.get(step["id"]) for step in steps]
    return [str(e) for e in ran.summary.errors] or outputs, kept(stage)


def put(key: Any, value: Any) -> Callable[[Any], None]:
    return lambda state: state.__setitem__(key, value)


async def test_what_one_call_kept_the_next_one_finds() -> None:
    stage = Keeping(chain({}, {}, {}), [count])
    assert (await stage.run()).summary.outputs == {"s0": 1, "s1": 2, "s2": 3}
    assert (await stage.run(thread="other")).summary.outputs["s2"] == 6
    assert kept(stage) == {"calls": 6}


async def test_an_attempt_that_fails_saves_nothing() -> None:
    stage = Keeping(chain({}, {"then": "fail"}, on_error="continue"), [count])
    ran = await stage.run()
    assert (ran.errors, kept(stage)) == ([("s1", "told")], {"calls": 1})


async def test_an_output_that_is_no_json_fails_the_attempt_which_saves_nothing() -> None:
    errors, left = await of_state(lambda state: state.update(k=1) or object())
    assert len(errors) == 1 and "returned something that is no JSON" in errors[0]
    assert left == {}


async def test_a_thread_that_is_left_behind_at_its_deadline_saves_nothing() -> None:
    release, over = threading.Event(), threading.Event()

    @agent(name="count", stateful=True)
    def late(task: Task) -> None:
        task.state["early"] = 1
        release.wait()
        task.state["late"] = 1
        over.set()

    stage = Keeping(chain({}, timeout=0.01), [late])
    ran = await stage.run()
    release.set()
    await asyncio.to_thread(over.wait)
    assert (ran.errors, kept(stage)) == ([("s0", "step_timed_out")], {})


async def test_the_next_attempt_begins_with_what_was_saved() -> None:
    @agent(stateful=True)
    async def flaky(task: Task) -> Any:
        task.state.setdefault("attempts", []).append(task.attempt)
        if task.attempt == 1:
            raise ConnectionError("down")
        return list(task.state["attempts"])

    stage = Keeping(chain({}, {}, agent="flaky", retry=TWICE), [flaky])
    assert (await stage.run()).summary.outputs == {"s0": [2], "s1": [2, 2]}


async def test_keys_that_are_deleted_are_gone_and_deep_changes_are_seen() -> None:
    outputs, left = await of_state(
        lambda state: state.update(old=1, deep={"list": [1]}, same="as before"),
        lambda state: state["deep"]["list"].append(True) or state.pop("old"),
        lambda state: dict(state),
    )
    assert outputs == [None, 1, {"deep": {"list": [1, True]}, "same": "as before"}]
    assert left == outputs[2]


async def test_a_change_of_kind_alone_is_a_change() -> None:
    outputs, _ = await of_state(put("n", 1), put("n", True), lambda state: state["n"])
    assert outputs[2] is True


async def test_only_keys_that_changed_are_written() -> None:
    class Noting(InMemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.written: list[str] = []

        async def abatch(self, ops: Iterable[Op]) -> list[Result]:
            listed = list(ops)
            self.written += [op.key for op in listed if isinstance(op, PutOp)]
            return await super().abatch(listed)

    @agent(name="count", stateful=True)
    async def touch(task: Task) -> None:
        task.state.setdefault("first", 1)
        task.state[task.step_id] = 1

    stage = Keeping(chain({}, {}), [touch], store=Noting())
    await stage.run()
    assert stage.store.written == ["first", "s0", "s1"]


async def test_of_calls_at_the_same_time_each_keeps_its_keys_and_the_last_to_end_wins() -> None:
    begun: list[str] = []
    gates = {name: asyncio.Event() for name in ("a", "b")}

    @agent(name="count", stateful=True)
    async def both(task: Task) -> int:
        task.state[task.step_id] = task.state["shared"] = task.step_id
        begun.append(task.step_id)
        if len(begun) == 2:
            gates["b"].set()
        await gates[task.step_id].wait()
        return len(task.state)

    first = {"id": "b", "agent": "count"}
    steps = [
        {"id": "a", "agent": "count"},
        first,
        {"id": "free", "agent": "free", "depends_on": ["b"]},
    ]

    @agent
    async def free(task: Task) -> None:
        gates["a"].set()

    stage = Keeping(steps, [both, free])
    ran = await stage.run()
    assert (ran.summary.outputs["a"], ran.summary.outputs["b"]) == (2, 2)
    assert kept(stage) == {"a": "a", "b": "b", "shared": "a"}


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", {1, 2}),
        ("k", object()),
        ("k", (1, 2)),
        ("k", {"in": {1: 2}}),
        ("k", [float("nan")]),
        ("k", float("inf")),
        ("k", 2**64),
        ("k", Path("x")),
        ("k", b"bytes"),
        ("k", "\ud800"),
        ("k", CIRCLE),
        ("k", nested(201)),
        ("k", nested(5000)),
        (7, "a key that is no text"),
        ("\ud800", 1),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_is_no_json_fails_the_call_with_the_name_of_its_key(
    key: Any, value: Any
) -> None:
    errors, left = await of_state(put("fine", 1), put(key, value))
    assert len(errors) == 1
    assert errors[0].startswith(
        f"s1: agent 'count' put something into task.state[{key!r}] that is no JSON ("
    )
    assert left == {"fine": 1}


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**64 - 1, 0.1, 1.0, "ü\0\n", [], {"": [{"a": None}]}, nested(200)],
    ids=lambda value: type(value).__name__,
)
async def test_every_json_value_comes_back_as_it_was(value: Any) -> None:
    outputs, left = await of_state(put("k", value), lambda state: [state["k"]])
    assert outputs[1] == [value] and type(outputs[1][0]) is type(value)
    assert left == {"k": value}


async def test_a_state_of_too_many_keys_is_refused() -> None:
    fill = dict.fromkeys(map(str, range(MOST_KEYS)), 1)
    outputs, left = await of_state(lambda state: state.update(fill), len)
    assert (outputs, len(left)) == ([None, MOST_KEYS], MOST_KEYS)
    errors, left = await of_state(lambda state: state.update(fill, more=1))
    assert "keeps 1,001 keys in task.state; 1,000 are the most" in errors[0]
    assert left == {}


USES: list[Callable[[Any], Any]] = [
    lambda state: state["k"],
    lambda state: state.get("k"),
    put("k", 1),
    lambda state: state.pop("k", None),
    lambda state: list(state),
    lambda state: len(state),
    lambda state: bool(state),
    lambda state: "k" in state,
    lambda state: state.update(k=1),
    lambda state: state.clear(),
    lambda state: dict(state),
]


@pytest.mark.parametrize("use", USES)
async def test_an_agent_that_declared_no_state_is_told_how_to(
    use: Callable[[Any], Any],
) -> None:
    stage = Stage(chain({}, agent="use"), [FunctionAgent(lambda task: use(task.state), name="use")])
    ran = await stage.run()
    assert ran.errors == [("s0", "configuration")]
    assert "write @agent(stateful=True), or 'stateful = True'" in str(ran.summary.errors[0])


async def test_an_agent_in_a_worker_process_is_told_so_too(tmp_path: Path) -> None:
    registry = AgentRegistry([heavy.work])
    params = {"what": "remember", "note": str(tmp_path / "note")}
    try:
        ran = await Stage(chain(params, agent="work"), (), services=make_services(registry)).run()
    finally:
        registry.close()
    assert ran.errors == [("s0", "configuration")]


async def test_an_agent_that_asks_a_person_keeps_what_it_noted() -> None:
    @agent(name="count", stateful=True)
    async def asks(task: Task) -> Any:
        task.state["asked"] = True
        return Question(message="Sure?")

    stage = Keeping(chain({}), [asks], saver=InMemorySaver())
    ran = await stage.run()
    assert len(ran.questions) == 1
    assert kept(stage) == {"asked": True}


# Every kind of agent


class Cursor(Agent):
    name, stateful = "cursor", True

    async def run(self, task: Task) -> int:
        task.state["at"] = task.state.get("at", 0) + 10
        return int(task.state["at"])

    def back(self, task: Task) -> int:
        task.state["at"] -= 1
        return int(task.state["at"])

    async def streamed(self, task: Task) -> Any:
        yield "text"
        yield task.state.pop("at")


@pytest.mark.parametrize("target", [Cursor, Cursor()], ids=["class", "instance"])
async def test_methods_of_every_style_and_every_instance_share_one_state(target: Any) -> None:
    steps = chain({}, {}, agent="cursor")
    steps += [{"id": "back", "agent": "cursor", "action": "back", "depends_on": ["s1"]}]
    steps += [{"id": "out", "agent": "cursor", "action": "streamed", "depends_on": ["back"]}]
    stage = Keeping(steps, [target])
    ran = await stage.run()
    assert ran.summary.outputs == {"s0": 10, "s1": 20, "back": 19, "out": 19}
    assert kept(stage, "cursor") == {}


async def test_the_state_goes_to_a_worker_process_and_comes_back() -> None:
    registry = AgentRegistry([heavy.count])
    stage = Keeping(chain({}, {}), registry)
    stage.store.put(("stretto", "agents", "count"), "old", {"value": 1})
    try:
        first, second = (await stage.run()).summary.outputs.values()
    finally:
        registry.close()
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]
    assert kept(stage) == {"calls": 2}


@pytest.mark.parametrize(
    ("then", "code", "said"),
    [
        ("lock", "cannot_be_sent", "has to be sent, and task.state cannot be"),
        ("set", "not_json", "task.state['odd'] that is no JSON"),
    ],
)
async def test_what_a_worker_process_cannot_keep_is_told(then: str, code: str, said: str) -> None:
    registry = AgentRegistry([heavy.count])
    stage = Keeping(chain({"then": then}), registry)
    try:
        ran = await stage.run()
    finally:
        registry.close()
    assert ran.errors == [("s0", code)]
    assert said in str(ran.summary.errors[0])
    assert kept(stage) == {}


async def test_agents_of_one_kind_keep_their_states_by_name_whatever_that_is() -> None:
    names = ["a", "a.b", "a%2Eb", "A", "ab", "ü \0"]
    registry = AgentRegistry()
    for name in names:
        registry.register(Cursor, name)
    steps = [{"id": f"s{n}", "agent": name} for n, name in enumerate(names)]
    stage = Keeping(steps, registry)
    for turn in (10, 20):
        ran = await stage.run(thread=str(turn))
        assert set(ran.summary.outputs.values()) == {turn}


async def test_what_others_put_below_the_state_of_an_agent_is_none_of_it() -> None:
    stage = Keeping(chain({}), [count])
    stage.store.put(("stretto", "agents", "count", "below"), "calls", {"value": 40})
    assert (await stage.run()).output == 1


async def test_a_call_in_plain_code_may_bring_a_state_of_its_own() -> None:
    state: dict[str, Any] = {"calls": 4}
    assert await count(Task(state=state)) == 5
    assert state == {"calls": 5}


# Hosts and stores


async def test_a_plain_graph_keeps_states_as_long_as_it_lives() -> None:
    for _ in range(2):
        stage = Stage(chain({}, {}), [count])
        assert (await stage.run()).summary.outputs["s1"] == 2
        assert (await stage.run(thread="other")).summary.outputs["s1"] == 4


class Outer(TypedDict, total=False):
    input: dict[str, Any]
    outputs: dict[str, Any]


@pytest.mark.parametrize("inside", [False, True])
async def test_a_host_that_has_a_store_keeps_the_states(inside: bool) -> None:
    steps = chain({}, {})
    if inside:
        steps = [{"id": "l", "loop": {"steps": steps, "until": "true", "max_iterations": 1}}]
    store = InMemoryStore()
    builder: Any = StateGraph(Outer)
    builder.add_node("flow", flow(steps).compile([count]))
    builder.add_edge(START, "flow")
    await builder.compile(store=store).ainvoke({"input": {}})
    item = store.get(("stretto", "agents", "count"), "calls")
    assert item is not None and item.value == {"value": 2}


async def test_a_step_whose_output_was_not_saved_runs_again_and_sees_the_state_it_saved() -> None:
    keys: list[str] = []

    @agent(name="count", stateful=True)
    async def sent(task: Task) -> Any:
        keys.append(task.idempotency_key)
        if task.idempotency_key in task.state.setdefault("sent", []):
            return "was sent before"
        task.state["sent"].append(task.idempotency_key)
        return "sent"

    lost = {"outputs"}

    class Unsaving(InMemorySaver):
        async def aput_writes(self, config: Any, writes: Any, *rest: Any, **more: Any) -> None:
            if any(channel in lost for channel, _ in writes):
                raise OSError("the machine went down")
            await super().aput_writes(config, writes, *rest, **more)

    saver = Unsaving()
    stage = Keeping(chain({}), [sent], saver=saver)
    with pytest.raises(OSError, match="went down"):
        await stage.run()
    lost.clear()
    assert (await stage.go_on()).output == "was sent before"
    assert keys == ["t/s0", "t/s0"]


class Away(InMemoryStore):
    """A store that fails so many reads and writes."""

    def __init__(self, reads: int = 0, writes: int = 0) -> None:
        super().__init__()
        self.left = {False: reads, True: writes}

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        listed = list(ops)
        writing = isinstance(listed[0], PutOp)
        if self.left[writing] > 0:
            self.left[writing] -= 1
            raise ConnectionError("the store is away")
        return await super().abatch(listed)


@pytest.mark.parametrize(("fails", "done"), [("reads", "read"), ("writes", "saved")])
async def test_a_store_that_fails_fails_the_attempt_which_can_be_tried_again(
    fails: str, done: str
) -> None:
    options: dict[str, int] = {fails: 2}
    stage = Keeping(chain({}), [count], store=Away(**options))
    ran = await stage.run()
    assert ran.errors == [("s0", "state_unavailable")]
    said = f"state of agent 'count' could not be {done}, so the attempt failed: the store is away"
    assert said in str(ran.summary.errors[0])
    stage = Keeping(chain({}, retry=TWICE), [count], store=Away(**{fails: 1}))
    ran, events = await stage.narrate()
    assert (ran.output, kept(stage)) == (1, {"calls": 1})
    assert [e.data["code"] for e in events if e.event == "agent_retry"] == ["state_unavailable"]


async def test_a_store_that_fails_says_nothing_against_the_agent(tmp_path: Path) -> None:
    stage = Keeping(chain({}), [count], store=Away(writes=20))
    codes = [(await stage.run(thread=str(n))).errors[0][1] for n in range(20)]
    assert set(codes) == {"state_unavailable"}  # and never circuit_open


async def test_a_file_that_is_no_store_fails_the_attempt_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "states.db"
    path.write_bytes(b"no database at all, but long enough " * 100)
    async with open_states(path) as store:
        ran = await Keeping(chain({}), [count], store=store).run()
    assert ran.errors == [("s0", "state_unavailable")]
    assert "check that the file is yours, undamaged" in str(ran.summary.errors[0])
