"""An agent that does what a test tells it to, and remembers what it was asked."""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stretto.agents.agent import FunctionAgent, Task
from stretto.errors import ConfigurationError, StepFailed
from stretto.testing.script import Script, raised

Output = Callable[[Task], Any] | object
"""What a call gives, or a function that makes it."""


class FakeAgent(FunctionAgent):
    """Gives canned outputs for any action; it can be held, and made to fail."""

    def __init__(
        self,
        name: str,
        output: Output = None,
        *,
        outputs: Iterable[Output] | None = None,
        raises: BaseException | type[BaseException] | None = None,
        fails: int | None = None,
        tokens: Sequence[str] = (),
        capabilities: Iterable[str] = (),
        max_concurrent_tasks: int = 5,
        stateful: bool = False,
    ) -> None:
        """Say what it does.

        Args:
            name: how steps call it.
            output: what every call gives, or a function of the task that gives it.
            outputs: what the calls give, one after the other, in place of ``output``; an exception
                among them is raised, and a call after the last one is an error.
            raises: what calls fail with.
            fails: how many calls fail before the first that does not; all of them if None and
                ``raises`` is given.
            tokens: what each successful call streams.
            capabilities: what it can do.
            max_concurrent_tasks: how many of its calls may run at once.
            stateful: whether ``task.state`` is kept for it.

        Raises:
            ConfigurationError: both ``output`` and ``outputs`` are given.

        """
        super().__init__(
            self._perform,
            name=name,
            capabilities=capabilities,
            max_concurrent_tasks=max_concurrent_tasks,
            stateful=stateful,
        )
        if output is not None and outputs is not None:
            raise ConfigurationError(f"fake agent '{name}': give output or outputs, not both")
        self.calls: list[Task] = []
        """The tasks that it was given, in order."""
        self._script = Script([output] if outputs is None else outputs, repeat=outputs is None)
        self._error = raises
        self._fails = (0 if raises is None else float("inf")) if fails is None else fails
        self._tokens = tuple(tokens)
        self._gates: dict[str | None, asyncio.Event] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def hold(self, *steps: str) -> None:
        """Let calls wait from now on, all of them or those of ``steps``, until ``release``."""
        for step in steps or (None,):
            self._gates.setdefault(step, asyncio.Event())

    def release(self, *steps: str) -> None:
        """Let calls that wait go on, all of them or those of ``steps``."""
        every: tuple[str | None, ...] = steps or tuple(self._gates)
        for step in every:
            if (gate := self._gates.pop(step, None)) is not None:
                gate.set()

    async def called(self, times: int = 1, within: float = 10.0) -> None:
        """Wait until it has been called so many times.

        Args:
            times: the calls, from the beginning.
            within: seconds after which that counts as failed.

        Raises:
            AssertionError: it was not.

        """
        if len(self.calls) >= times:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((times, future))
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            message = f"fake agent '{self.name}' was called {len(self.calls)} times in {within:g} s"
            raise AssertionError(f"{message}, not {times}") from None

    async def _perform(self, task: Task) -> Any:
        self.calls.append(task)
        for times, future in self._waiting:
            if len(self.calls) >= times and not future.done():
                future.set_result(None)
        for step in dict.fromkeys((None, task.step_id, task.step_id.partition("[")[0])):
            if (gate := self._gates.get(step)) is not None:
                await gate.wait()
        if self._fails > 0:
            self._fails -= 1
            raise raised(self._error) or self._told()
        line = self._script.take(f"agent '{self.name}'", f"\n  {task.step_id}: {dict(task.params)}")
        if (error := raised(line)) is not None:
            raise error
        for token in self._tokens:
            await task.emit(token)
        return await _value_of(line, task)

    def _told(self) -> StepFailed:
        message = f"fake agent '{self.name}' was told to fail"
        return StepFailed(message, code="told_to_fail", retryable=True)


async def _value_of(line: Callable[[Task], Any] | Any, task: Task) -> Any:
    value = line(task) if callable(line) else line
    return await value if inspect.isawaitable(value) else value
