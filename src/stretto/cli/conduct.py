"""One run in this process: opened, watched to its end, cancelled when somebody asks for it."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from stretto.cli.board import Board
from stretto.cli.report import Commands, Shape, report
from stretto.cli.stragglers import run_loop
from stretto.cli.terminal import is_terminal
from stretto.events import RunEvent

if TYPE_CHECKING:
    from stretto.engine.engine import Engine
    from stretto.engine.handle import RunHandle
    from stretto.engine.result import RunResult

SHOW_CURSOR = "\x1b[?25h"


class View(Protocol):
    """Somebody who shows a run while it goes on."""

    def open(self, title: str, board: Board) -> None:
        """Begin, with what is known before the first event."""
        ...

    def take(self, event: RunEvent) -> None:
        """Take one event."""
        ...

    async def close(self) -> None:
        """End."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that was started or taken up again."""

    handle: "RunHandle"
    title: str
    board: Board
    after: int = 0
    """The last event that lies before this entry into the run."""
    commands: Commands = Commands()


Begin = Callable[["Engine"], Awaitable[Begun]]


def conduct(engine: "Engine", begin: Begin, stream: TextIO, shape: Shape) -> int:
    """Begin a run, show it until it ends or waits, and report on it.

    SIGINT and SIGTERM cancel the run resumably; a second one ends the process at once.

    Args:
        engine: not opened yet.
        begin: starts the run, or goes on with it.
        stream: where data goes.
        shape: who reads it.

    Returns:
        The exit code.

    """

    async def whole() -> int:
        begun, result = await _conducted(engine, begin, view_for(stream, shape))
        # Inside the loop: what agents left running in it may keep it from ever being closed.
        return report(result, stream, shape, begun.commands)

    return run_loop(whole())


def view_for(stream: TextIO, shape: Shape) -> View:
    """Choose how a run is shown: drawn when somebody looks, written when somebody reads."""
    from stretto.cli.lines import EventsView, LinesView, SilentView
    from stretto.cli.live import LiveView

    if shape == "events":
        return EventsView(stream)
    if is_terminal(sys.stderr) and (shape == "json" or is_terminal(stream)):
        return LiveView(sys.stderr)
    return SilentView() if shape == "json" else LinesView(stream)


async def _conducted(engine: "Engine", begin: Begin, view: View) -> "tuple[Begun, RunResult]":
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    with _stopping(lambda: loop.call_soon_threadsafe(stop.set)):
        async with engine:
            begun = await begin(engine)
            stopper = asyncio.create_task(_cancel_when(stop, begun.handle))
            try:
                await _show(begun, view)
                result = await begun.handle.result()
            finally:
                stopper.cancel()
        return begun, result


async def _show(begun: Begun, view: View) -> None:
    view.open(begun.title, begun.board)
    try:
        async for event in begun.handle.events(begun.after):
            view.take(event)
    finally:
        await view.close()


async def _cancel_when(stop: asyncio.Event, handle: "RunHandle") -> None:
    from stretto.errors import RunConflict

    await stop.wait()
    try:
        await handle.cancel()
    except RunConflict:  # it ended by itself just before
        return


@contextmanager
def _stopping(ask: Callable[[], Any]) -> Generator[None]:
    """Turn the first signal into a request; the second one ends the process, whatever it does."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def first(number: int, frame: FrameType | None) -> None:
        for number in signals:
            signal.signal(number, second)
        ask()

    def second(number: int, frame: FrameType | None) -> None:
        # An agent that will not be cancelled would keep any gentler end waiting for ever.
        if is_terminal(sys.stderr):
            os.write(2, SHOW_CURSOR.encode())
        os._exit(128 + number)

    for number in signals:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
