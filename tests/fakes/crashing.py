"""Engines in processes of their own, which are killed at a chosen moment.

Run as a program this is a nursery: it imports everything once, and forks a child for each order
that it reads as a line of JSON. A child does what the order says with an engine of its own, and
leaves its result in a file; the agents write a journal that survives any death.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from stretto import Engine, RunHandle, Task

KILLED = -signal.SIGKILL
PATIENCE = 30.0
"""Seconds until a child that does not come to an end is given up."""


@dataclass(frozen=True)
class Order:
    """What a child does: one call of an engine, followed to its end or to the child's death."""

    home: str
    do: Literal["start", "resume", "recover", "cancel"] = "start"
    workflow: dict[str, Any] = field(default_factory=dict[str, Any])
    others: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Workflows that are used as steps."""
    input: dict[str, Any] = field(default_factory=dict[str, Any])
    answer: Any = None
    kill_in: str | None = None
    """The child dies inside this call of an agent, before its work."""
    kill_at: str | None = None
    """The child dies at the first event ``TYPE PATH`` that it sees."""
    stateful: bool = False
    """Each call puts its path into the agent's state, and gives what else is in it."""
    shift: float = 0.0
    """Seconds by which the child's clock is ahead."""
    name: str = "child"


@dataclass(frozen=True)
class End:
    """How a child ended."""

    code: int
    result: dict[str, Any]


class Journal:
    """Lines that are in the file the moment they are written, whatever happens next."""

    def __init__(self, home: str) -> None:
        self.path = Path(home) / "journal"

    def write(self, *words: str) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, (" ".join(words) + "\n").encode())
        os.close(handle)

    def wait_for(self, line: list[str], times: int = 1) -> None:
        """Wait until a line was written so many times."""
        until = time.monotonic() + PATIENCE
        while self.lines().count(line) < times:
            assert time.monotonic() < until, f"nobody wrote {line}"
            time.sleep(0.005)

    def lines(self) -> list[list[str]]:
        if not self.path.exists():
            return []
        return [line.split() for line in self.path.read_text().splitlines()]


class Nursery:
    """The nursery as its parent sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def begin(self, order: Order) -> int:
        """Start a child and give its process id."""
        pid: int = self._ask({"begin": order.__dict__})["pid"]
        return pid

    def wait(self, order: Order, pid: int) -> End:
        """Wait for a child and give how it ended."""
        code = self._ask({"wait": pid})["code"]
        path = Path(order.home) / f"{order.name}.json"
        result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        path.unlink(missing_ok=True)
        return End(code, result)

    def do(self, order: Order) -> End:
        """Have a child carry out an order to its end."""
        return self.wait(order, self.begin(order))

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def open_nursery() -> Generator[Nursery]:
    """Run a nursery as a process."""
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)


def serve() -> None:
    """Fork a child for every order on stdin, and tell how each ended; none outlives its test."""
    children = set[int]()
    for line in sys.stdin:
        question = json.loads(line)
        if "begin" in question:
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                _child(Order(**question["begin"]))
            children.add(pid)
            answer = {"pid": pid}
        else:
            answer = {"code": _wait_for(question["wait"])}
            children.discard(question["wait"])
        print(json.dumps(answer), flush=True)
    for pid in children:  # a test that failed did not wait for them
        os.kill(pid, signal.SIGKILL)


def _wait_for(pid: int) -> int:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _child(order: Order) -> None:
    code = 1
    try:
        import time_machine

        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        shifted = time_machine.travel(time.time() + order.shift, tick=True)
        with shifted if order.shift else contextlib.nullcontext():
            result = asyncio.run(_carry_out(order))
        (Path(order.home) / f"{order.name}.json").write_text(json.dumps(result))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _carry_out(order: Order) -> dict[str, Any]:
    from stretto import Engine, Workflow
    from stretto.agents.agent import FunctionAgent
    from stretto.errors import StrettoError

    work = FunctionAgent(
        Worker(order).work, name="work", max_concurrent_tasks=100, stateful=order.stateful
    )
    async with Engine([work], home=order.home, database=f"sqlite:///{order.home}/s.db") as engine:
        for other in order.others:
            engine.add_workflow(Workflow.from_dict(other))
        try:
            handle = await _begun(engine, order)
        except StrettoError as error:
            return {"error": error.code, "message": error.message}
        return {"error": None} if handle is None else await _followed(handle, order)


class Worker:
    """The agent of all steps: it writes into the journal, and dies when it is told to."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._journal = Journal(order.home)

    async def work(self, task: "Task") -> dict[str, Any]:
        path = task.idempotency_key.partition("/")[2]
        scope = path.rpartition("/")[0]
        kept = self._keep(task, path)
        self._journal.write("start", path, *(f"{scope}/{n}".lstrip("/") for n in task.inputs))
        if path == self._order.kill_in:
            _die()
        if task.attempt <= task.params.get("fails", 0):
            raise ConnectionError("unplugged")
        await asyncio.sleep(task.params.get("seconds", 0))
        while task.params.get("wait_for") and not Path(task.params["wait_for"]).exists():
            await asyncio.sleep(0.005)
        self._journal.write("end", path)
        return {"path": path, "got": task.input, "n": task.params.get("n"), **kept}

    def _keep(self, task: "Task", path: str) -> dict[str, Any]:
        if not self._order.stateful:
            return {}
        found = sorted(task.state)
        task.state[path] = task.run_id
        return {"found": found}


async def _begun(engine: "Engine", order: Order) -> "RunHandle | None":
    from stretto.graphs.loading import load_document

    if order.do == "cancel":
        await engine.cancel("r")
        return None
    if order.do == "recover":
        (handle,) = await engine.recover()
        return handle
    if order.do == "resume":
        return await engine.resume("r", order.answer)
    flow = load_document(order.workflow, workflows={other["name"] for other in order.others})
    handle = await engine.start(flow, order.input, run_id="r")
    if order.kill_at == "accepted":
        _die()
    return handle


async def _followed(handle: "RunHandle", order: Order) -> dict[str, Any]:
    journal, last = Journal(order.home), 0
    async for event in handle.events():
        last = event.seq
        words = [event.event, *([event.step] if event.step else [])]
        journal.write("event", *words)
        if order.kill_at == " ".join(words):
            _die()
    result, status = await handle.result(), await handle.status()
    return {"error": None, "result": result.to_dict(), "status": status.to_dict(), "last": last}


def _warm_up() -> None:
    """Import, before any fork, all that the children use."""
    for module in (
        "aiosqlite",
        "sqlalchemy.dialects.sqlite.aiosqlite",
        "stretto.engine.engine",
        "stretto.graphs.loading",
        "time_machine",
    ):
        import_module(module)


if __name__ == "__main__":
    _warm_up()
    serve()
