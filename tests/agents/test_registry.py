"""Agents by name and by capability."""

import asyncio
import threading
from typing import Any

import pytest

from stretto.agents.agent import Agent, FunctionAgent, Task
from stretto.agents.registry import AgentRegistry
from stretto.errors import ConfigurationError, NoAgentFor
from stretto.testing import FakeAgent


class Scout(Agent):
    name = "scout"
    capabilities = {"data_fetch", "memory"}
    max_concurrent_tasks = 2

    async def run(self, task: Task) -> str:
        return "found"


class Nameless:
    async def execute(self, task: Task) -> int:
        return 1


def plain(task: Task) -> int:
    return 2


async def test_instances_classes_and_functions_can_be_registered() -> None:
    registry = AgentRegistry([Scout(), Nameless, plain])
    assert registry.names() == ("scout", "Nameless", "plain")
    assert [await agent.run(Task()) for agent in registry] == ["found", 1, 2]
    scout = registry.get("scout")
    assert scout.capabilities == frozenset({"data_fetch", "memory"})
    assert scout.max_concurrent_tasks == 2
    assert registry.get("Nameless").max_concurrent_tasks == 5


def test_what_is_said_at_registration_counts() -> None:
    registry = AgentRegistry()
    entry = registry.register(Scout, name="s", capabilities=["x"], max_concurrent_tasks=7)
    assert (entry.name, entry.max_concurrent_tasks) == ("s", 7)
    assert entry.capabilities == frozenset({"x"})


def test_agents_are_found_by_capability_in_order() -> None:
    registry = AgentRegistry()
    for name in ("b", "a", "c"):
        registry.register(plain, name=name, capabilities={"x"} if name != "c" else {"y"})
    assert [agent.name for agent in registry.able("x")] == ["b", "a"]
    assert registry.capabilities() == ("x", "y")
    with pytest.raises(NoAgentFor, match="capability 'z'"):
        registry.able("z")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(NoAgentFor, match=r"'scoutt' \(did you mean 'scout'\?\)"):
        AgentRegistry([Scout]).get("scoutt")
    with pytest.raises(NoAgentFor, match="no agent is called 'zzz'; register"):
        AgentRegistry([Scout]).get("zzz")


def test_a_name_is_given_once() -> None:
    registry = AgentRegistry([Scout])
    with pytest.raises(ConfigurationError, match="'scout' already"):
        registry.register(FunctionAgent(plain, name="scout"))
    assert (len(registry), "scout" in registry, "other" in registry) == (1, True, False)


@pytest.mark.parametrize("target", [object(), 5, "scout", None])
def test_what_is_no_agent_is_refused(target: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no agent"):
        AgentRegistry([target])


@pytest.mark.parametrize("slots", [-1, 0])
def test_an_agent_needs_a_slot(slots: int) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        AgentRegistry().register(plain, max_concurrent_tasks=slots)


class Careful(Agent):
    """Notices when two tasks are at work in one instance."""

    max_concurrent_tasks = 3
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.number = type(self).made
        self.busy = False

    async def run(self, task: Task) -> int:
        assert not self.busy
        self.busy = True
        try:
            await task.params["gate"].wait()
        finally:
            self.busy = False
        return self.number

    def slowly(self, task: Task) -> int:
        task.params["gate"].wait()
        return self.number


class Needing:
    def __init__(self, url: str) -> None: ...

    async def run(self, task: Task) -> None: ...


class Failing(Nameless):
    def __init__(self) -> None:
        raise OSError("no disk")


class OneWord(Agent):
    capabilities: Any = "analysis"


class Many(Agent):
    max_concurrent_tasks: Any = "many"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (Needing, "agent class Needing cannot be made: TypeError: .* argument: 'url'; mend"),
        (Failing, "agent class Failing cannot be made: OSError: no disk"),
        (OneWord, "capabilities of agent 'OneWord' are a set of words, .* not 'analysis'"),
        (Many, "agent 'Many' needs max_concurrent_tasks of at least 1, a whole number"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_in_one_sentence(target: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        AgentRegistry([target])


@pytest.mark.parametrize("given", ["analysis", {1}])
def test_capabilities_that_are_no_words_are_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="capabilities of agent 'plain' are a set of"):
        FunctionAgent(plain, capabilities=given)
    with pytest.raises(ConfigurationError, match="capabilities of agent 'fake' are a set of"):
        FakeAgent("fake", capabilities=given)


async def test_of_a_class_each_task_at_work_has_an_instance_that_is_used_again() -> None:
    class Mine(Careful): ...

    careful = AgentRegistry([Mine]).get("Mine")
    assert Mine.made == 1
    gate = asyncio.Event()
    at_work = [asyncio.create_task(careful.run(Task(params={"gate": gate}))) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert sorted(await asyncio.gather(*at_work)) == [1, 2, 3]
    for _ in range(5):
        await careful.run(Task(params={"gate": gate}))
    assert Mine.made == 3


async def test_an_instance_is_used_again_after_its_task_was_cancelled() -> None:
    class Mine(Careful): ...

    careful = AgentRegistry([Mine]).get("Mine")
    cut_off = asyncio.create_task(careful.run(Task(params={"gate": asyncio.Event()})))
    await asyncio.sleep(0)
    cut_off.cancel()
    await asyncio.wait([cut_off])
    gate = asyncio.Event()
    gate.set()
    assert await careful.run(Task(params={"gate": gate})) == 1


async def test_an_instance_in_which_a_thread_may_still_be_at_work_is_not_used_again() -> None:
    class Mine(Careful): ...

    careful, gate = AgentRegistry([Mine]).get("Mine"), threading.Event()
    task = Task(action="slowly", params={"gate": gate})
    cut_off = asyncio.create_task(careful.run(task))
    await asyncio.sleep(0)
    cut_off.cancel()
    await asyncio.wait([cut_off])
    gate.set()
    assert await careful.run(task) == 2


async def test_an_instance_that_is_registered_does_all_its_tasks() -> None:
    careful, gate = Careful(), threading.Event()
    gate.set()
    entry = AgentRegistry([careful]).get("Careful")
    task = Task(action="slowly", params={"gate": gate})
    assert set(await asyncio.gather(*(entry.run(task) for _ in range(3)))) == {careful.number}


def test_a_class_is_made_with_its_configuration() -> None:
    class Configured(Careful):
        def __init__(self, name: str = "") -> None:
            super().__init__()
            self.name = name

    assert AgentRegistry().register(Configured, config={"name": "c"}).name == "c"
