"""``stretto memory``: figures, copies, and what keeps memory in order."""

import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from stretto.cli.deployment import read_settings
from stretto.cli.guard import guarded, say
from stretto.cli.memories import Tenant, User, has_memory, one_line, scope_of, with_memory
from stretto.cli.options import AsJson, Home, Model
from stretto.cli.terminal import as_json, clean, write
from stretto.cli.values import read_text
from stretto.errors import InputInvalid

if TYPE_CHECKING:
    from stretto.memory.recollection import Consolidation, Memory

SECONDS_A_DAY = 86_400
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
    settings = read_settings(home)
    if not has_memory(settings):
        say(f"nothing is remembered in {settings.home} yet")
        return

    async def copy(memory: "Memory") -> int:
        await memory.stats()  # a memory that cannot be used leaves the file as it was
        lines = memory.export(scope_of(tenant, user))
        if file == "-":
            return await _write_lines(lines, sys.stdout)
        with _opened(file) as target:
            return await _write_lines(lines, target)

    count = with_memory(home, copy)
    if file != "-":
        say(f"{count} memories in {file}")


@guarded
def import_(file: Origin, home: Home = None) -> None:
    """Add what export wrote; what is there already stays as it is."""
    text = read_text(file)
    lines = [line for line in text.split("\n") if line.strip()]  # a text may hold other ends

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
    model: Model = None,
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0, help="Sum up episodes from before that.")
    ] = 30.0,
    tenant: Tenant = None,
    user: User = None,
    home: Home = None,
) -> None:
    """Let a model sum up old episodes, and show facts that contradict each other.

    Nothing is lost by it; the offline model sums up, but finds no contradictions.
    """
    from stretto.agents.recall.consolidating import contradiction_finder, is_offline, summarizer
    from stretto.engine.room import opener_of

    open_model = opener_of(read_settings(home), model)

    async def sum_up(memory: "Memory") -> "Consolidation":
        offline = is_offline(open_model)
        return await memory.consolidate(
            await summarizer(open_model),
            contradict=None if offline else await contradiction_finder(open_model),
            scope=scope_of(tenant, user),
            older_than=older_than * SECONDS_A_DAY,
        )

    done = with_memory(home, sum_up)
    for older, newer in done.contradictions:
        write(sys.stdout, clean(f"{older.id}\t{one_line(older.text)}"))
        write(sys.stdout, clean(f"{newer.id}\t{one_line(newer.text)}"))
    counts = f"{len(done.summaries)} summaries, {len(done.contradictions)} contradictions"
    say(f"{counts}; 'stretto memory forget ID' settles one")


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
