"""The memory of a deployment at the command line: opened, looked up, shown."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from stretto.cli.deployment import read_settings
from stretto.cli.terminal import clean, console_on, is_terminal, write
from stretto.errors import InputInvalid

if TYPE_CHECKING:
    from stretto.config import Settings
    from stretto.memory.item import Scope
    from stretto.memory.recollection import Memory, Recalled

T = TypeVar("T")
FOLDER = "memory"
"""Where the embedded memory is kept, below the home folder."""
SHORT, SHORTEST = 8, 4
"""Characters of an id that are shown, and how many of one have to be given."""
Tenant = Annotated[str | None, typer.Option(metavar="ID", help="Only of this tenant.")]
User = Annotated[str | None, typer.Option(metavar="ID", help="Only of this user.")]
ItemId = Annotated[
    str, typer.Argument(metavar="ID", help="The memory, or the beginning of its id.")
]


def scope_of(tenant: str | None, user: str | None) -> "Scope":
    """Give the scope that the options of a command name."""
    from stretto.memory.item import Scope

    return Scope(tenant=tenant, user=user)


def has_memory(settings: "Settings") -> bool:
    """Tell whether there can be anything to recall, without making a place for it."""
    return settings.qdrant_url is not None or (settings.home / FOLDER).is_dir()


def with_memory(
    home: str | None, work: "Callable[[Memory], Awaitable[T]]", embedder: str | None = None
) -> T:
    """Open the memory, do something with it, and close it; what goes wrong is raised.

    Args:
        home: the folder of all that is kept, instead of the configured one.
        work: what is done.
        embedder: in place of the configured one.

    Raises:
        MemoryFault: it cannot be used.

    """
    settings = read_settings(home)
    if embedder is not None:
        settings = settings.model_copy(update={"embedder": embedder})

    async def opened() -> T:
        async with open_memory(settings) as memory:
            return await work(memory)

    return asyncio.run(opened())


def open_memory(settings: "Settings") -> "Memory":
    """Give the memory that settings name, for somebody who wants to hear what is wrong with it."""
    from stretto.memory.recollection import Memory

    memory = Memory.from_settings(settings)
    memory.on_error = "raise"
    return memory


async def find_id(memory: "Memory", given: str) -> str:
    """Give an id that is given whole, or the only one that begins like that, also an expired one.

    Raises:
        InputInvalid: there is none, or there are several.

    """
    if (exact := await memory.get(given)) is not None:
        return exact.id
    if len(given) < SHORTEST:
        raise InputInvalid(f"give at least {SHORTEST} characters of an id, not '{given}'")
    start = given.lower()
    found = [line["id"] async for line in memory.export() if str(line["id"]).startswith(start)]
    if len(found) > 1:
        few = ", ".join(found[:5])
        raise InputInvalid(
            f"{len(found)} memories begin with '{given}': {few}; give more of the id"
        )
    if not found:
        raise InputInvalid(f"no memory has the id '{given}'; 'stretto memory recall' shows ids")
    return str(found[0])


def moment(text: str | None) -> datetime | None:
    """Read a date or a time; it is one of the local time zone unless it names another.

    Raises:
        InputInvalid: it is none.

    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InputInvalid(f"'{text}' is no date; write 2026-05-31 or 2026-05-31T14:00") from None
    return at if at.tzinfo else at.astimezone()


def show_recalled(found: "Sequence[Recalled]", explain: bool) -> None:
    """Show what was recalled: a table for people, a line each with tabs between in a pipe."""
    from stretto.agents.recall.forms import since

    rows = [(one, _day(since(one.item)), str(one.item.kind), f"{one.score:.2f}") for one in found]
    if not is_terminal(sys.stdout):
        for one, day, kind, score in rows:
            cells = (one.item.id, day, kind, score, one_line(one.item.text))
            write(sys.stdout, clean("\t".join((*cells, *([_why(one)] if explain else [])))))
        return
    table = Table("id", "date", "kind", "text", box=None, pad_edge=False)
    table.add_column("score", justify="right")
    for one, day, kind, score in rows:
        text = Text(clean(one.item.text), "dim" if one.neighbour else "default")
        if explain:
            text.append(f"\n{clean(_why(one))}", "dim")
        about = (Text(one.item.id[:SHORT], "dim"), Text(day), Text(kind, "cyan"))
        table.add_row(*about, text, Text(score))
    console_on(sys.stdout).print(table)


def _why(one: "Recalled") -> str:
    """Write the factors of a score in a line."""
    parts = [f"{name} {_figure(value)}" for name, value in one.why.to_dict().items() if value]
    return ", ".join([*parts, *(["neighbour"] if one.neighbour else [])])


def _figure(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def one_line(text: str) -> str:
    """Put a text on one line."""
    return " ".join(text.split())


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
