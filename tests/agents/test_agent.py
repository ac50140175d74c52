"""What counts as an agent, what of it is called, and what it is given."""

import asyncio
import functools
import inspect
import threading
from typing import Any

import pytest

from stretto.agents.agent import Agent, FunctionAgent, OpenModel, PreparedAgent, Task, agent
from stretto.agents.calling import call, entry_point
from stretto.agents.human import HumanAgent
from stretto.agents.llm import LLMAgent
from stretto.agents.service import HttpAgent
from stretto.agents.usage import Usage
from stretto.errors import ConfigurationError


def test_a_task_reads_like_a_mapping_of_its_fields() -> None:
    task = Task("fetch", {"k": 1}, context={"risk": "low"}, run_id="r", attempt=2)
    assert (task["action"], task["params"], task["attempt"]) == ("fetch", {"k": 1}, 2)
    assert task.get("context", {}) == {"risk": "low"}
    assert (task.get("nothing", "default"), "nothing" in task) == ("default", False)
    assert (len(task), list(task)) == (len(Task.FIELDS), list(Task.FIELDS))
    assert dict(task)["run_id"] == "r"


@pytest.mark.parametrize("key", ["usage", "publish", "emit", "FIELDS", "__class__"])
def test_a_task_gives_away_no_more_than_its_fields(key: str) -> None:
    with pytest.raises(KeyError):
        Task()[key]


def test_a_task_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Task().action = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Task()["action"] = "other"  # type: ignore[index]


def test_usage_adds_up() -> None:
    usage = Usage(1, 2, 1, 0.5)
    usage.add(Usage(10, 20, 3, 0.25))
    assert usage.to_dict() == {
        "input_tokens": 11,
        "output_tokens": 22,
        "tokens": 33,
        "calls": 4,
        "usd": 0.75,
    }


def test_the_decorator_works_with_and_without_parentheses() -> None:
    @agent
    def plain(task: Task) -> int:
        """Say one."""
        return 1

    @agent(name="other", capabilities={"x"}, max_concurrent_tasks=2)
    async def named(task: Task) -> int:
        return 2

    assert (plain.name, plain.__doc__, plain(Task())) == ("plain", "Say one.", 1)
    assert (named.name, named.capabilities, named.max_concurrent_tasks) == ("other", {"x"}, 2)


class Both(Agent):
    async def run(self, task: Task) -> str:
        return "run"

    async def fetch(self, task: Task) -> str:
        return "fetch"

    async def execute(self, task: Task) -> str:
        return "execute"

    async def _private(self, task: Task) -> str:
        return "private"


class OnlyExecute:
    def execute(self, task: Task) -> str:
        return "execute"


@pytest.mark.parametrize(
    ("action", "called"),
    [
        ("fetch", "fetch"),
        (None, "run"),
        ("unknown", "run"),
        ("_private", "run"),
        ("__init__", "run"),
        ("capabilities", "run"),
        ("not an identifier", "run"),
    ],
)
async def test_the_action_names_the_method_else_run(action: str | None, called: str) -> None:
    assert await call(Both(), Task(action)) == called


class Helpful(LLMAgent):
    def values(self, task: Task) -> dict[str, Any]:
        return {}

    async def prepare(self, open_model: OpenModel | None = None) -> None: ...

    async def summarize(self, task: Task) -> str:
        return "summarize"


@pytest.mark.parametrize("action", ["answer", "values", "prepare", "missing_values"])
async def test_what_a_base_class_works_with_is_no_action(action: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{action}' is a method of agent 'helpful' for"):
        await call(Helpful("helpful", "Hi.", "offline"), Task(action))
    assert await call(Helpful("helpful", "Hi.", "offline"), Task("summarize")) == "summarize"


def test_every_method_of_a_base_class_is_known_to_be_none() -> None:
    for base in (Agent, PreparedAgent, LLMAgent, HttpAgent, HumanAgent):
        methods = {name for name, _ in inspect.getmembers(base, callable) if name[0] != "_"}
        assert methods - {"run"} == base.no_actions


async def test_execute_is_called_where_there_is_nothing_else() -> None:
    assert await call(OnlyExecute(), Task("anything")) == "execute"


def test_an_object_with_nothing_to_call_says_what_is_missing() -> None:
    with pytest.raises(
        ConfigurationError, match="object has no method 'fetch', 'run' or 'execute'"
    ):
        entry_point(object(), "fetch")


async def test_plain_functions_run_in_a_thread_and_stream_from_there() -> None:
    said: list[str] = []

    def work(task: Task) -> bool:
        task.publish("one")
        task.publish("two")
        return threading.current_thread() is threading.main_thread()

    task = Task(publish=said.append)
    assert await call(FunctionAgent(work), task) is False
    assert said == ["one", "two"]


async def test_the_event_loop_goes_on_while_plain_functions_block() -> None:
    release = threading.Event()
    work = [asyncio.create_task(call(FunctionAgent(lambda t: release.wait(10)), Task()))] * 1
    work += [
        asyncio.create_task(call(FunctionAgent(lambda t: release.wait(10)), Task()))
        for _ in range(50)
    ]
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(*work) == [True] * 51


async def test_a_plain_function_may_return_something_to_await() -> None:
    async def later() -> str:
        return "later"

    assert await call(FunctionAgent(lambda task: later(), name="x"), Task()) == "later"


async def test_a_partial_of_a_coroutine_function_is_awaited_in_the_loop() -> None:
    async def work(task: Task, n: int) -> tuple[int, bool]:
        return n, threading.current_thread() is threading.main_thread()

    found = await call(FunctionAgent(functools.partial(work, n=7), name="x"), Task())
    assert found == (7, True)


@pytest.mark.parametrize("error", [StopIteration("x"), StopAsyncIteration("x"), KeyError("x")])
async def test_what_a_plain_function_raises_arrives(error: Exception) -> None:
    def work(task: Task) -> None:
        raise error

    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)):
        await call(FunctionAgent(work), Task())


async def test_a_thread_whose_caller_has_gone_ends_quietly() -> None:
    release, ended = threading.Event(), threading.Event()

    def work(task: Task) -> None:
        release.wait(10)
        ended.set()

    running = asyncio.create_task(call(FunctionAgent(work), Task()))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    release.set()
    assert await asyncio.to_thread(ended.wait, 10)


async def test_the_text_of_an_async_generator_is_streamed_and_joined() -> None:
    async def talk(task: Task) -> Any:
        yield "Hello "
        yield "Ada"

    said: list[str] = []
    assert await call(FunctionAgent(talk), Task(publish=said.append)) == "Hello Ada"
    assert said == ["Hello ", "Ada"]


async def test_the_last_thing_that_is_no_text_is_the_output_of_a_generator() -> None:
    async def talk(task: Task) -> Any:
        yield {"draft": 1}
        yield "thinking"
        yield {"final": 2}

    said: list[str] = []
    assert await call(FunctionAgent(talk), Task(publish=said.append)) == {"final": 2}
    assert said == ["thinking"]


async def test_a_generator_method_of_a_class_is_streamed_too() -> None:
    class Talker(Agent):
        async def run(self, task: Task) -> Any:
            yield "a"
            yield "b"

    assert await call(Talker(), Task()) == "ab"


async def test_emit_publishes() -> None:
    said: list[str] = []
    await Task(publish=said.append).emit("x")
    assert said == ["x"]
