"""A run on a terminal: its steps, its progress and its answer, redrawn as they change."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stretto.cli.board import Board, Row
from stretto.cli.terminal import clean, console_on
from stretto.events import RunEvent

REDRAW_SECONDS = 0.1
CHROME = 5
"""Lines around the rows: title, gaps, progress, and the cursor's own."""
ANSWER_SHARE = 3
"""The streaming answer gets one part in so many of the screen."""
GAP = 2
TIME_WIDTH = 11
"""Columns of the longest time, ``99 min 59 s``."""
NARROW = 70
"""Below so many columns the agents are not shown."""
STYLES: Mapping[str, str] = {
    "pending": "dim",
    "running": "cyan",
    "waiting": "yellow",
    "completed": "green",
    "failed": "red",
    "skipped": "dim",
    "not_run": "dim",
}
SYMBOLS: Mapping[str, str] = {
    "pending": "○",
    "running": "●",
    "waiting": "?",
    "completed": "✓",
    "failed": "✗",
    "skipped": "–",
    "not_run": "–",
}
PLAIN: Mapping[str, str] = {**SYMBOLS, "pending": ".", "running": ">", "completed": "+"} | {
    "failed": "x",
    "skipped": "-",
    "not_run": "-",
}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(frozen=True, slots=True)
class Canvas:
    """Draws a board; ``width`` and ``height`` are those of the terminal, in characters."""

    width: int
    height: int
    unicode: bool = True

    def draw(self, title: str, board: Board, final: bool = False) -> RenderableType:
        """Draw everything: title, rows, progress, and the answer while it streams."""
        parts: list[RenderableType] = [Text(title, "bold"), Text("")]
        answer = "" if final else clean(board.answer).strip()
        room = self.height // ANSWER_SHARE if answer else 0
        rows = board.rows()
        shown = rows if final else fit(rows, max(self.height - CHROME - room, 3))
        parts.append(self._table(shown, board.seconds()))
        if len(shown) < len(rows):
            parts.append(Text(f"  … {len(rows) - len(shown)} more", "dim"))
        parts += [Text(""), self._progress(board)]
        if answer:
            tail = Text(answer, "default").wrap(console_of(self.width), self.width - 4)[-room + 1 :]
            parts += [Text(""), Text("\n").join([Text("  ") + line for line in tail])]
        return Group(*parts)

    def _table(self, rows: list[Row], seconds: float) -> Table:
        """Give every column what it needs, up to a share of the width; notes get the rest."""
        table = Table.grid(padding=(0, GAP, 0, 0))
        cells = [self._cells(row, seconds) for row in rows]
        shares = (1, self.width // 3, self.width // 4 if self.width >= NARROW else 0, TIME_WIDTH)
        taken = 0
        for column, share in enumerate(shares):
            width = min(max((line[column].cell_len for line in cells), default=0), share)
            justify: JustifyMethod = "right" if column == len(shares) - 1 else "left"
            table.add_column(width=width, no_wrap=True, overflow="ellipsis", justify=justify)
            taken += width + GAP
        table.add_column(width=max(self.width - taken, 0), no_wrap=True, overflow="ellipsis")
        for line in cells:
            table.add_row(*line)
        return table

    def _cells(self, row: Row, seconds: float) -> tuple[Text, ...]:
        state, style = row.status.state, STYLES[row.status.state]
        symbol = (SYMBOLS if self.unicode else PLAIN)[state]
        if state == "running" and self.unicode:
            symbol = SPINNER[int(seconds / REDRAW_SECONDS) % len(SPINNER)]
        took = row.status.execution_time
        return (
            Text(symbol, style),
            Text("  " * row.depth + clean(row.name), "dim" if style == "dim" else "default"),
            Text(clean(row.who), "dim"),
            Text("" if took is None else duration(took), "dim" if state == "completed" else style),
            self._note(row, style),
        )

    def _note(self, row: Row, style: str) -> Text:
        attempts = row.status.attempts
        attempt = f"attempt {attempts}" if attempts > 1 else ""
        tail, room = _one_line(row.tail), self.width // 3
        tail = f"…{tail[-room:]}" if len(tail) > room else tail
        return Text("  ".join(part for part in (attempt, _one_line(row.note), tail) if part), style)

    def _progress(self, board: Board) -> Table:
        line = Table.grid(padding=(0, 2))
        line.add_column(width=min(40, self.width // 2))
        line.add_column(no_wrap=True)
        bar = ProgressBar(max(board.total, 1), board.settled)
        line.add_row(
            bar, Text(f"{board.settled}/{board.total} steps  {duration(board.seconds())}", "dim")
        )
        return line


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def fit(rows: list[Row], room: int) -> list[Row]:
    """Choose the rows to show: settled ones inside containers go first, then what is pending."""
    ranked = sorted(range(len(rows)), key=lambda index: (_weight(rows[index]), -index))
    gone = set(ranked[: max(len(rows) - room, 0)])
    return [row for index, row in enumerate(rows) if index not in gone]


def _weight(row: Row) -> int:
    if row.status.state in ("running", "waiting", "failed"):
        return 3
    if row.depth:
        return 0
    return 1 if row.status.state == "pending" else 2


def duration(seconds: float) -> str:
    """Write seconds so that people can read them: ``0.42 s``, ``12.3 s``, ``3 min 20 s``."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def console_of(width: int) -> Console:
    """Make a console that only measures text."""
    return Console(width=width, markup=False, highlight=False)


class LiveView:
    """Shows a run on a terminal until it ends."""

    def __init__(self, stream: TextIO) -> None:
        """Show it on ``stream``."""
        self._console = console_on(stream)
        self._board = Board({})
        self._title = ""
        self._live: Live | None = None
        self._ticker: asyncio.Task[None] | None = None

    def open(self, title: str, board: Board) -> None:
        """Begin to draw inside a running event loop."""
        self._board, self._title = board, title
        self._live = Live(
            self._drawn(), console=self._console, auto_refresh=False, vertical_overflow="crop"
        )
        self._live.start(refresh=True)
        self._ticker = asyncio.create_task(self._tick())

    def take(self, event: RunEvent) -> None:
        """Take in one event; the next redraw shows it."""
        self._board.take(event)

    async def close(self) -> None:
        """Draw the last state and leave it on the screen."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        if self._live is not None:
            self._live.vertical_overflow = "visible"
            self._live.update(self._drawn(final=True), refresh=True)
            self._live.stop()
        for path, reason in self._board.degraded.items():
            told = Text(clean(f"'{path}' went on without memory: {reason}"), "yellow")
            self._console.print(told, soft_wrap=True)

    async def _tick(self) -> None:
        while self._live is not None:
            self._live.update(self._drawn(), refresh=True)
            await asyncio.sleep(REDRAW_SECONDS)

    def _drawn(self, final: bool = False) -> RenderableType:
        size = self._console.size
        unicode = self._console.encoding.startswith("utf")
        return Canvas(size.width, size.height, unicode).draw(self._title, self._board, final)
