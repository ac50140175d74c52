"""Agents that run in worker processes, which find them here by name."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from pickle import PicklingError
from typing import Any

import httpx2

from stretto.agents.agent import Agent, Task, agent

calls: list[str] = []
"""What this process called; each worker process has a list of its own."""


class Unsendable(Exception):
    """Cannot be made from what pickle keeps of it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")


class Unsilent(ValueError):
    """Can neither be sent nor be written."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code)

    def __str__(self) -> str:
        raise RuntimeError


@agent(killable=True)
def work(task: Task) -> Any:
    """Do what ``params.what`` says."""
    calls.append(task.step_id)
    Path(task.params["note"]).write_text(str(os.getpid()))
    return DEEDS[task.params.get("what", "tell")](task)


def tell(task: Task) -> dict[str, Any]:
    """Use everything that comes back from a process."""
    print("what is printed harms nobody")
    task.usage.calls += 1
    task.usage.input_tokens += 7
    task.publish("one ")
    task.publish("two")
    return {"pid": os.getpid(), "calls": len(calls), "thread": threading.current_thread().name}


def hang(task: Task) -> None:
    """Hold the interpreter without an end, with a program that does so too."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    note = Path(task.params["note"])
    note.write_text(f"{os.getpid()} {sleeper.pid}")
    note.with_suffix(".ready").touch()
    while True:
        pass


def die(task: Task) -> str:
    """End the process, but only the first time."""
    if task.attempt == 1:
        os._exit(3)
    return "alive"


def crash(task: Task) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(task: Task) -> None:
    sys.exit(4)


def fail(task: Task) -> None:
    raise LookupError("nothing there")


def fail_oddly(task: Task) -> None:
    raise Unsendable(7, "odd")


def fail_unsaid(task: Task) -> None:
    raise Unsilent(7, "odd")


def fail_at_a_service(task: Task) -> None:
    request = httpx2.Request("GET", "http://127.0.0.1/")
    headers = {"Retry-After": "7"}
    httpx2.Response(task.params["status"], headers=headers, request=request).raise_for_status()


def fork(task: Task) -> Any:
    """Make a copy of this process that comes back from the call too."""
    if (child := os.fork()) == 0:
        task.publish("nobody hears that")
        return "of the fork"
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def fork_and_crash(task: Task) -> None:
    """Die while a copy of this process lives."""
    if (child := os.fork()) == 0:
        signal.pause()
    Path(task.params["note"]).write_text(str(child))
    crash(task)


def crash_without_a_name(task: Task) -> None:
    os.kill(os.getpid(), signal.SIGRTMIN + 6)


def publish_oddly(task: Task) -> str:
    """Publish what cannot be sent, behind much that can."""
    odd: Any = (b"x" * 200_000, lambda: None)
    with suppress(AttributeError, PicklingError):
        task.publish(odd)
    return "went on"


def give_oddly(task: Task) -> Any:
    return lambda: None


def remember(task: Task) -> None:
    """Use a state, though the agent declares none."""
    task.state["note"] = 1


DEEDS = {
    deed.__name__: deed
    for deed in (
        *(tell, hang, die, crash, crash_without_a_name, leave, fork, fork_and_crash, remember),
        *(fail, fail_oddly, fail_unsaid, fail_at_a_service, give_oddly, publish_oddly),
    )
}


@agent(killable=True, stateful=True)
def count(task: Task) -> Any:
    """Count the calls in the agent's state, and do what ``params.then`` says."""
    task.state["calls"] = task.state.get("calls", 0) + 1
    task.state.pop("old", None)
    if then := task.params.get("then"):
        task.state["odd"] = {"lock": threading.Lock(), "set": {1}}[then]
    return {"calls": task.state["calls"], "pid": os.getpid()}


class Counter(Agent):
    """Keeps a count, and has methods of both kinds."""

    name, killable = "counter", True

    def __init__(self) -> None:
        self.count = 0

    def run(self, task: Task) -> list[int]:
        self.count += 1
        return [self.count, os.getpid()]

    async def here(self, task: Task) -> list[int]:
        self.count += 1
        return [self.count, os.getpid()]


class Locked(Counter):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class Slow(Agent):
    killable = True

    async def run(self, task: Task) -> None: ...


@agent(killable=True)
async def gentle(task: Task) -> None: ...


@agent(killable=True)
async def streaming(task: Task) -> Any:
    yield "text"


def nested() -> Any:
    @agent(killable=True)
    def inner(task: Task) -> None: ...

    return inner
