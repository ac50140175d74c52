"""What is given to a memory, and what it tells of itself."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

from stretto.errors import MemoryFault
from stretto.memory.item import USUAL, Kind, Scope, Source
from stretto.memory.recollection.checks import check_whole

Moment: TypeAlias = datetime | float
"""A time: one without a zone is local; a number is seconds since 1970."""
MAX_CHARACTERS = 65_536
"""The longest text that one item may have."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """One thing to remember; what is None or left out is as ``Memory.remember`` says."""

    text: str
    scope: Scope | None = None
    kind: str = "fact"
    key: str | None = None
    subject: str | None = None
    data: Mapping[str, Any] | None = None
    importance: float = USUAL
    source: Source | None = None
    at: Moment | None = None
    ttl: float | None = None
    pinned: bool = False
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    author: str
    text: str
    at: Moment | None = None
    message_id: str | None = None
    """Tells it from others with the same words; a turn of a known id is not added again."""

    @classmethod
    def of(cls, given: Any) -> "Turn":
        """Make a turn of a turn, a mapping, or a LangChain message.

        Raises:
            MemoryFault: it is something else; the code is ``item_invalid``.

        """
        author: Any
        text: Any
        if isinstance(given, Turn):
            author, text, at, id = given.author, given.text, given.at, given.message_id
        elif isinstance(given, Mapping):
            form = cast("Mapping[str, Any]", given)
            author, text = (
                form.get("author", form.get("role")),
                form.get("text", form.get("content")),
            )
            at, id = form.get("at"), form.get("message_id", form.get("id"))
        else:
            author, text = getattr(given, "type", None), getattr(given, "text", None)
            at, id = None, getattr(given, "id", None)
        if not isinstance(author, str) or not isinstance(text, str):
            raise _no_turn(given)
        name = None if id in (None, "") else check_whole(str(id))
        return cls(check_whole(author), str(text), at, name)

    @staticmethod
    def says_nothing(given: Any) -> bool:
        """Tell whether a LangChain message has no text, as those that only call tools."""
        if isinstance(given, Turn | Mapping):
            return False
        text = getattr(given, "text", None)
        return isinstance(text, str) and not text.strip()


def _no_turn(given: Any) -> MemoryFault:
    told = f"a turn has an author and a text, both texts, not {str(given)[:100]!r}"
    return MemoryFault(told, code="item_invalid")


@dataclass(frozen=True, slots=True)
class RunMemory:
    """What is remembered of a run that has ended."""

    run_id: str
    workflow: str
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """By step."""
    output: Any = None
    status: str = "completed"
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A conversation or run as it is remembered."""

    id: str
    added: int
    """How many turns or outputs were new."""
    size: int
    """How many it has now."""


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """How much is remembered in a scope, and how it is found."""

    items: int
    kinds: Mapping[str, int]
    values: int
    """Those of LangGraph's store, which are of no scope."""
    bytes_on_disk: int | None
    """None for a server, which does not tell, and for a part of the memory."""
    location: str
    embedder: str | None
    language: str
    dense_pending: int
    """Items, and texts of values, found by their words alone until their vectors can be made."""
    spooled: int | None
    """Writes that wait for the server to answer again; None for a part of the memory."""

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)


def current_time() -> float:
    """Give the time, in seconds since 1970, as finely as it is kept."""
    return seconds(time.time())


def seconds(moment: Moment) -> float:
    """Give a time as seconds since 1970.

    Raises:
        MemoryFault: it is none; the code is ``item_invalid``.

    """
    try:
        value: Any = moment.timestamp() if isinstance(moment, datetime) else moment
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            told = f"a time is a datetime or the seconds since 1970, not {moment!r}"
            raise MemoryFault(told, code="item_invalid")
        datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        told = f"no year is as far away as {moment!s}; a number is seconds, not milliseconds"
        raise MemoryFault(told, code="item_invalid") from None
    return round(float(value), 6)  # finer than that the engine does not give them back


def check_text(text: Any) -> str:
    """Give a text that can be remembered.

    Raises:
        MemoryFault: it is empty, no text, or too long.

    """
    if not isinstance(text, str) or not text.strip():
        raise MemoryFault("there is no text to remember; give one", code="item_invalid")
    if len(text) > MAX_CHARACTERS:
        told = (
            f"a text of {len(text):,} characters is too long for one memory; split it into parts "
            f"of at most {MAX_CHARACTERS:,}, as turns of a conversation, say"
        )
        raise MemoryFault(told, code="text_too_long")
    return check_whole(text)


def kind_of(name: str) -> Kind:
    """Give a kind by name.

    Raises:
        MemoryFault: there is none of that name; the code is ``item_invalid``.

    """
    try:
        return Kind(name)
    except ValueError:
        told = f"there is no kind of memory '{name}'; use {', '.join(Kind)}"
        raise MemoryFault(told, code="item_invalid") from None
