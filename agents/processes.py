"""Worker processes for plain functions that have to end at their deadline: killed if need be."""

import asyncio
import contextlib
import inspect
import os
import pickle
import signal
import subprocess
import sys
import weakref
from dataclasses import replace
from functools import partial
from typing import Any

from stretto.agents.agent import Emit, FunctionAgent, Task, discard
from stretto.agents.gate import ModelGate
from stretto.agents.threads import in_thread
from stretto.agents.usage import Usage
from stretto.agents.worker import Order, Reply, find_function
from stretto.errors import ConfigurationError, StepFailed

ENDING = 1.0
"""Seconds that a process which answers no more has to end by itself, so that it is told how."""


class Process:
    """One worker process, which makes one call at a time."""

    def __init__(self) -> None:
        """Start it; it finds what this process finds."""
        start = f"import sys; sys.path[:] = {[str(path) for path in sys.path]!r}"
        program = f"{start}; from stretto.agents.worker import main; main()"
        # In a session of its own it is killed with all that it started, and by no Ctrl-C.
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._killed = False

    @property
    def alive(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def exchange(self, order: Order, publish: Emit) -> Reply:
        """Have a call made and wait for its end, in a thread.

        Raises:
            StepFailed: the process died (``worker_died``).

        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            pickle.dump(order, stdin)
            stdin.flush()
            while True:
                kind, value = pickle.load(stdout)
                if kind == "reply":
                    reply: Reply = value
                    return reply
                publish(value)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            cause = self._cause()
            self.kill()
            raise StepFailed(cause, code="worker_died", retryable=True) from error

    def kill(self) -> None:
        """End it at once, with everything that it started, and wait until it is gone.

        An exchange that is under way fails by that.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Also when it has died by itself; but once, as its number may be another's later.
            if hasattr(os, "killpg") and not self._killed:
                self._killed = True
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End it while no exchange is under way."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _cause(self) -> str:
        try:
            code = self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            return "the worker process of the agent closed its pipes in the middle of the call"
        how = f"by {_name_of(-code)}" if code < 0 else f"with exit code {code}"
        return f"the worker process of the agent was ended {how} in the middle of the call"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # those for real time have no names
        return f"signal {number}"


class Processes:
    """The worker processes of a registry; one that is not at work is kept for the next call."""

    def __init__(self) -> None:
        """Start none yet."""
        self._idle: list[Process] = []
        weakref.finalize(self, _kill_all, self._idle)  # at the end of the program at the latest

    async def call(self, target: Any, task: Task) -> Any:
        """Have an agent carry out a task in a process, which is killed if this is cancelled.

        Raises:
            StepFailed: the task or its output cannot be sent (``cannot_be_sent``), or the process
                died (``worker_died``).

        """
        order, loop = _order(target, task), asyncio.get_running_loop()

        def publish(text: str) -> None:
            loop.call_soon_threadsafe(partial(task.publish, text))

        reply = await self._made(order, publish)
        task.usage.add(reply.usage)
        try:
            failure = pickle.loads(reply.failure) if reply.failure else None
            output = None if reply.failure else pickle.loads(reply.output)
            state = pickle.loads(reply.state) if reply.state else None
        except Exception as error:
            told = f"what the agent gave cannot be read here: {type(error).__name__}: {error}"
            raise StepFailed(told, code="cannot_be_sent") from error
        if failure is not None:
            raise failure
        if state is not None:
            task.state.clear()
            task.state.update(state)
        return output

    def close(self) -> None:
        """End the processes that are not at work."""
        _kill_all(self._idle)

    async def _made(self, order: Order, publish: Emit) -> Reply:
        process = self._take()
        work = asyncio.ensure_future(in_thread(process.exchange, order, publish))
        try:
            reply = await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            work.add_done_callback(lambda _: process.end())
            await in_thread(process.kill)  # which takes a moment
            raise
        except BaseException:  # it died, or nobody knows what is left of the call in its pipes
            process.end()
            raise
        self._idle.append(process)
        return reply

    def _take(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            process.end()
        return Process()


def check_killable(target: Any, name: str) -> None:
    """Make sure that an agent can be sent to a worker process.

    Args:
        target: the agent.
        name: what it is called, for the message.

    Raises:
        ConfigurationError: it cannot; the message says why and what to do.

    """
    if (why := _hindrance(target)) is not None:
        raise ConfigurationError(f"agent '{name}' cannot be killable: {why}")


def _hindrance(target: Any) -> str | None:
    function, defined = _defined(target)
    code = function or getattr(target, "run", None) or getattr(target, "execute", None)
    if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
        return "it is asynchronous and is cancelled at its deadline instead; leave killable out"
    module, name = getattr(defined, "__module__", None), getattr(defined, "__qualname__", "<>")
    if module == "__main__":
        return "it is defined in the program that runs; move it to a module and import it"
    try:
        if "<" in name or find_function(sys.modules[str(module)], name) is not defined:
            return "a worker process finds only what a module defines at its top level"
        if function is None:
            pickle.dumps(target)
    except (KeyError, AttributeError):
        return "a worker process finds only what a module defines at its top level"
    except Exception as error:
        return f"it cannot be pickled ({error})"
    return None


def _order(target: Any, task: Task) -> Order:
    function, defined = _defined(target)
    path = getattr(sys.modules[defined.__module__], "__file__", None)
    # What belongs to the run around it stays here: it could not be sent, and would reach nobody.
    host: dict[str, Any] = {"publish": discard, "notify": discard, "gate": ModelGate(), "facts": {}}
    sent = replace(task, usage=Usage(), host_memory=None, **host)
    try:
        payload = pickle.dumps((None if function else target, sent))
    except Exception as error:
        told = f"the task of a killable agent has to be sent, and cannot be ({error})"
        raise StepFailed(told, code="cannot_be_sent") from error
    return Order(defined.__module__, path, defined.__qualname__ if function else None, payload)


def _defined(target: Any) -> tuple[Any, Any]:
    """Give the function that an agent is, or None, and what has to be found by name for it."""
    function: Any = target.function if isinstance(target, FunctionAgent) else None
    defined: Any = function or target.__class__
    return function, defined


def _kill_all(processes: list[Process]) -> None:
    while processes:
        processes.pop().end()
