"""``stretto memory``: figures, copies, and what keeps memory in order."""

import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from stretto.cli.deployment import read_settings
from stretto.cli.guard import guarded, say
from stretto.cli.memories import Tenant, User, has_memory, scope_of, with_memory
from stretto.cli.options import AsJson, Home, Model
from stretto.cli.terminal import as_json, write
from stretto.cli.values import read_text
from stretto.errors import InputInvalid

if TYPE_CHECKING:
    from stretto.memory.recollection import Memory

Target = Annotated[str, typer.Argument(metavar="[FILE]", help="Where to; - is stdout.")]
Origin = Annotated[str, typer.Argument(metavar="FILE", help="What export wrote; - is stdin.")]
NewEmbedder = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="openai:NAME, dir:FOLDER; words alone if it is empty."),
]


@guarded
def stats(json_form: AsJson = False, home: Home = None) -> None:
    """Tell how much is remembered, where, and how it is found."""
    settings = read_settings(home)
    if not has_memory(settings):
        if json_form:
            write(sys.stdout, as_json({"items": 0}, sys.stdout))
        else:
            say(f"nothing is remembered in {settings.home} yet")
        return

    async def count(memory: "Memory") -> dict[str, Any]:
        return (await memory.stats()).to_dict()

    figures = with_memory(home, count)
    if json_form:
        write(sys.stdout, as_json(figures, sys.stdout, indent=2))
        return
    for name, value in figures.items():
        write(sys.stdout, f"{name.replace('_', ' '):<16}{_written(value)}")


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"  # pyright: ignore[reportUnknownVariableType]
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


@guarded
def export(file: Target = "-", tenant: Tenant = None, user: User = None, home: Home = None) -> None:
    """Write everything that is remembered, one JSON line each."""

    async def copy(memory: "Memory") -> int:
        lines = memory.export(scope_of(tenant, user))
        if file == "-":
            return await _write_lines(lines, sys.stdout)
        with _opened(file) as target:
            return await _write_lines(lines, target)

    count = with_memory(home, copy) if has_memory(read_settings(home)) else 0
    if file != "-":
        say(f"{count} memories in {file}")


@guarded
def import_(file: Origin, home: Home = None) -> None:
    """Add what export wrote; what is there already stays as it is."""
    text = read_text(file)
    lines = [line for line in text.splitlines() if line.strip()]

    async def take(memory: "Memory") -> int:
        return await memory.import_(lines)

    say(f"{with_memory(home, take)} memories added")


@guarded
def compact(home: Home = None) -> None:
    """Give back the space of what was forgotten or has expired."""

    async def shrink(memory: "Memory") -> int:
        swept = await memory.sweep()
        await memory.compact()
        return swept

    say(f"compacted; {with_memory(home, shrink)} memories had expired")


@guarded
def reindex(embedder: NewEmbedder = None, home: Home = None) -> None:
    """Make all vectors anew: after another embedder, or another version of this one."""

    async def renew(memory: "Memory") -> int:
        return await memory.reindex(embedder)

    say(f"{with_memory(home, renew, embedder)} memories indexed anew")


@guarded
def consolidate(
    model: Model = None, tenant: Tenant = None, user: User = None, home: Home = None
) -> None:
    """Let a model sum up what is known, and find what contradicts itself; nothing is lost."""
    raise NotImplementedError


async def _write_lines(lines: AsyncIterator[dict[str, Any]], stream: TextIO) -> int:
    count = 0
    async for line in lines:
        stream.write(f"{as_json(line, stream)}\n")
        count += 1
    stream.flush()
    return count


@contextmanager
def _opened(file: str) -> Generator[TextIO]:
    try:
        with Path(file).open("w", encoding="utf-8") as stream:
            yield stream
    except OSError as error:
        raise InputInvalid(f"cannot write {file}: {error.strerror or error}") from None
