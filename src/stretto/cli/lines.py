"""A run in a pipe: one plain line per event, or one JSON line per event."""

import json
from typing import Any, TextIO

from stretto.cli.board import Board
from stretto.cli.terminal import as_json, clean, write
from stretto.events import RunEvent

_SHORTENED = frozenset({"step", "final_output", "interrupts", "errors", "prompt", "usage", "spent"})
_QUOTED = frozenset(' \t\n"=')


class LinesView:
    """Writes a line per event: its name, the step or ``-``, then ``key=value``, times in seconds.

    Streamed text is left out; ``--events`` has it.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self._start: float | None = None

    def open(self, title: str, board: Board) -> None:
        """Need nothing of what is known before the first event."""

    def take(self, event: RunEvent) -> None:
        """Write one event."""
        if self._start is None:
            self._start = event.at
        if event.event != "agent_stream":
            write(self._stream, event_line(event, event.at - self._start))

    async def close(self) -> None:
        """Leave the stream open for the output."""


class EventsView:
    """Writes every event as one JSON line."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream

    def open(self, title: str, board: Board) -> None:
        """Need nothing of what is known before the first event."""

    def take(self, event: RunEvent) -> None:
        """Write one event."""
        write(self._stream, as_json(event.to_dict(), self._stream))

    async def close(self) -> None:
        """Leave nothing behind the events."""


class SilentView:
    """Writes nothing while the run goes on."""

    def open(self, title: str, board: Board) -> None:
        """Need nothing."""

    def take(self, event: RunEvent) -> None:
        """Write nothing."""

    async def close(self) -> None:
        """Write nothing."""


def event_line(event: RunEvent, at: float) -> str:
    """Write an event as one line that tools can search.

    Args:
        event: the event.
        at: seconds since the first one.

    """
    facts = {key: value for key, value in event.data.items() if key not in _SHORTENED}
    if event.step is None:
        facts["run"] = event.run_id
    if output := event.data.get("final_output"):
        facts["duration"] = output.get("total_execution_time")
    if errors := event.data.get("errors"):
        facts["errors"] = [error.get("step") for error in errors]
    if questions := event.data.get("interrupts"):
        facts["asks"] = [question.get("step") for question in questions]
    if prompt := event.data.get("prompt"):
        facts["prompt"] = f"{prompt.get('name')}@{prompt.get('version')}"
    if usage := event.data.get("usage"):
        facts["tokens"] = usage.get("tokens")
    facts["t"] = at
    told = [f"{key}={_written(value)}" for key, value in facts.items() if value is not None]
    return clean(" ".join([event.event, event.step or "-", *told]))


def _written(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, str) and value and not _QUOTED.intersection(value):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
