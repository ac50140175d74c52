"""Where text goes: consoles that interpret nothing in it, and data in a form programs read."""

import json
import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Take out what would steer a terminal: control characters and changes of direction."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def console_on(stream: TextIO) -> Console:
    """Make a console that shows text as it is: no markup, no emoji codes, no guessed colours."""
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a person sees a stream on a terminal that can redraw lines."""
    return stream.isatty() and not console_on(stream).is_dumb_terminal


def as_json(value: Any, stream: TextIO, indent: int | None = None) -> str:
    """Write a value as JSON that the stream's encoding can carry."""
    encoding = (stream.encoding or "utf-8").lower()
    ascii_only = not encoding.startswith("utf")
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=str)


@contextmanager
def data_stream() -> Generator[TextIO]:
    """Keep stdout for data: what agents and libraries print meanwhile goes to stderr."""
    stream = sys.stdout
    with redirect_stdout(sys.stderr):
        yield stream


def write(stream: TextIO, text: str) -> None:
    """Write one line at once, so that a reader of a pipe sees it."""
    stream.write(f"{text}\n")
    stream.flush()


def print_part(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns that are as wide as they need, whatever the terminal's width."""
    console = console_on(sys.stdout)
    console.print()
    console.print(Text(title, "bold"))
    cells = [[clean(cell) for cell in row] for row in rows or [("none",)]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *others = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        line = Text(f"  {first}").append("".join(f"  {cell}" for cell in others), "dim")
        line.rstrip()
        console.print(line, soft_wrap=True)
