"""The page that a search asks for: the newest first, or what fits its query best."""

from collections.abc import Sequence
from typing import Final

from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.types import Filter, HasId, Missing, Order, Record
from stretto.memory.store.ranking import ranked
from stretto.memory.store.search import VALUES, Found, Search

NEWEST: Final = Order("updated_at", descending=True)
LEAST_PAGE: Final = 64
NO_TEXT: Final = Missing("text")


def find(engine: Engine, search: Search, now: float | None) -> list[Found]:
    """Find the page of results that a search asks for.

    Args:
        engine: where the values are; nobody else writes to it meanwhile.
        search: what is searched.
        now: the time by which a value has expired, None to find expired ones too.

    """
    if search.op.limit == 0:
        return []
    everything = search.filter(VALUES, now)
    found: list[Found] = []
    if not search.op.query:
        found = [(record, None) for record in _newest(engine, search, everything, search.end)]
        return found[search.op.offset :]
    found += ranked(engine, search, now)
    if (missing := search.end - len(found)) > 0:
        rest = _newest(engine, search, _unranked(everything, found), missing)
        found += [(record, 0.0) for record in rest]
    if (missing := search.end - len(found)) > 0:
        no_text = Filter((*everything.must, NO_TEXT), everything.must_not)
        found += [(record, None) for record in _newest(engine, search, no_text, missing)]
    return found[search.op.offset : search.end]


def _unranked(everything: Filter, found: Sequence[Found]) -> Filter:
    """Give what is indexed and yet not found."""
    ids = tuple(record.id for record, _ in found)
    known = (HasId(ids),) if ids else ()
    return Filter(everything.must, (*everything.must_not, *known, NO_TEXT))


def _newest(engine: Engine, search: Search, wanted: Filter, count: int) -> list[Record]:
    kept: list[Record] = []
    cursor: str | None = None
    size = count
    while True:
        records, cursor = engine.scroll(wanted, size, cursor, order=NEWEST)
        kept += [record for record in records if search.keeps(record)]
        if cursor is None or len(kept) >= count:
            return kept[:count]
        size = max(size, LEAST_PAGE)
