"""The inside of a worker process: it is told which functions to call, and is killed at will.

The program that started it is not run a second time, as ``multiprocessing`` would do.
"""

import importlib
import importlib.util
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from stretto.agents.agent import Emit, FunctionAgent
from stretto.agents.calling import entry_point
from stretto.agents.standin import stand_in
from stretto.agents.undeclared import UNDECLARED
from stretto.agents.usage import Usage
from stretto.errors import StepFailed


@dataclass(frozen=True, slots=True)
class Order:
    """One call that a worker is to make."""

    module: str
    """Where the agent is defined."""
    path: str | None
    """The file of that module, which need not be importable by its name."""
    function: str | None
    """The qualified name of an agent that is a function; None when the payload has the agent."""
    payload: bytes
    """The agent, or None, and the task, pickled; unpickling them may need the module."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a call ended."""

    output: bytes = b""
    """Pickled, as is the failure."""
    failure: bytes = b""
    usage: Usage = field(default_factory=Usage)
    state: bytes = b""
    """What the agent keeps, pickled; empty if it keeps nothing."""


class Mouth:
    """Publishes to the outside while a call is at work."""

    def __init__(self, say: Callable[[str, Any], None]) -> None:
        """Publish by ``say``."""
        self._say = say
        self._lock = threading.Lock()
        self._closed = False

    def publish(self, text: str) -> None:
        """Publish one piece of text; nothing is heard of what threads say after the call."""
        with self._lock:
            if not self._closed:
                self._say("text", text)

    def close(self) -> None:
        """Stop publishing."""
        with self._lock:
            self._closed = True


def main() -> None:
    """Carry out orders from standard input until it ends, which it does with the other process."""
    orders, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What agents print goes to where errors go, and they find nothing to read.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _keep_from_forks(orders, replies)

    def say(kind: str, value: Any) -> None:
        replies.write(pickle.dumps((kind, value)))  # all of it, or nothing if it cannot be sent
        replies.flush()

    waiting: SimpleQueue[Order] = SimpleQueue()
    here = os.getpid()
    threading.Thread(target=_listen, args=(orders, waiting), daemon=True).start()
    while True:
        order, mouth = waiting.get(), Mouth(say)
        reply = carry_out(order, mouth.publish)
        if os.getpid() != here:  # a fork that came back from the call; the answer is not its own
            os._exit(1 if reply.failure else 0)
        mouth.close()
        say("reply", reply)


def _keep_from_forks(*pipes: BinaryIO) -> None:
    """See to it that forks of this process neither answer for it nor hide that it has died."""

    def cut_off() -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for pipe in pipes:
            os.dup2(nothing, pipe.fileno(), inheritable=False)
        os.close(nothing)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=cut_off)


def _listen(orders: BinaryIO, waiting: "SimpleQueue[Order]") -> None:
    """Take orders, and end with whoever gives them, also in the middle of a call."""
    try:
        while True:
            waiting.put(pickle.load(orders))
    finally:
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)  # with whatever the call has started
        os._exit(0)


def carry_out(order: Order, publish: Emit) -> Reply:
    """Make one call."""
    usage = Usage()
    try:
        module = load_module(order.module, order.path)
        agent, task = pickle.loads(order.payload)
        if order.function is not None:
            agent = FunctionAgent(find_function(module, order.function))
        output = entry_point(agent, task.action)(replace(task, publish=publish, usage=usage))
        state = b"" if task.state is UNDECLARED else _pickled(task.state, "task.state")
        return Reply(output=_pickled(output, type(output).__name__), usage=usage, state=state)
    except BaseException as error:
        return Reply(failure=_failure(error), usage=usage)


def load_module(name: str, path: str | None) -> Any:
    """Import a module by its name, or else from its file.

    Args:
        name: how it is called in the other process.
        path: its file there.

    Raises:
        ImportError: neither works.

    """
    if name in sys.modules:
        return sys.modules[name]
    if path is not None and not _is_known(name):
        parts, file = name.split("."), Path(path)
        root = file.parents[len(parts) - 1]
        if root.joinpath(*parts).with_suffix(".py") != file:
            return _load_file(name, file)
        sys.path.append(str(root))
    return importlib.import_module(name)


def find_function(module: Any, name: str) -> Any:
    """Find a function by its qualified name; a decorator may have made an agent of it.

    Raises:
        AttributeError: there is none.

    """
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    return found.function if isinstance(found, FunctionAgent) else found


def _is_known(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def _load_file(name: str, file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _pickled(given: Any, name: str) -> bytes:
    try:
        return pickle.dumps(given)
    except Exception as error:
        told = f"what a killable agent gives has to be sent, and {name} cannot be"
        raise StepFailed(f"{told} ({error})", code="cannot_be_sent") from error


def _failure(error: BaseException) -> bytes:
    """Pickle an error, or what stands for it when it would not survive that."""
    error.add_note("In the worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)
    except Exception:
        return pickle.dumps(stand_in(error))
    return pickled
