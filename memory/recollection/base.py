"""What every side of a memory is made of: its engine, its scope, where things come from."""

import asyncio
from collections.abc import Callable
from typing import Literal

from stretto.errors import MemoryFault
from stretto.memory.backend.types import Filter
from stretto.memory.item import MemoryItem, Scope, Source
from stretto.memory.recollection.checks import check_scope, check_source, id_of
from stretto.memory.recollection.core import Core
from stretto.memory.recollection.filters import expired
from stretto.memory.recollection.forgetting import Selection
from stretto.memory.recollection.forms import current_time


class MemoryBase:
    """A memory as somebody sees it."""

    scope: Scope
    on_error: Literal["degrade", "raise"]
    _core: Core
    _source: Source
    _on_degraded: Callable[[str], None] | None
    _owns: bool

    async def get(self, id: str) -> MemoryItem | None:
        """Give an item by its id, None when this memory has none or it has expired."""
        await self._core.ready()
        known = id_of(id)
        if known is None:
            return None
        now = current_time()
        wanted = Selection(self.scope, [known]).filter()
        view = Filter(wanted.must, (expired(now),))
        found, _ = await asyncio.wrap_future(self._core.backend.scroll(view, 1))
        return MemoryItem.from_payload(found[0].payload) if found else None

    def _of(self, scope: Scope | None) -> Scope:
        return self.scope if scope is None else check_scope(scope).within(self.scope)

    def _from(self, source: Source | None) -> Source:
        return self._source if source is None else check_source(source).filled_from(self._source)

    async def _known(self, id: str) -> MemoryItem:
        item = await self.get(id)
        if item is None:
            raise MemoryFault(f"no memory has the id '{id}'", code="item_unknown")
        return item

    def _degrade(self, message: str) -> None:
        told, self._on_degraded = self._on_degraded, None
        if told is not None:
            told(message)
