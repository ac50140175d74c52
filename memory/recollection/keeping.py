"""The side of a memory that keeps it in order: forgetting, copies, figures, new vectors."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stretto.errors import MemoryFault
from stretto.memory.item import Scope
from stretto.memory.marks import marks_of
from stretto.memory.recollection import consolidation, forgetting, purging, transfer, upkeep
from stretto.memory.recollection.base import MemoryBase
from stretto.memory.recollection.checks import check_number, check_several, id_of
from stretto.memory.recollection.consolidation import Consolidation, Contradict, Summarize
from stretto.memory.recollection.drafts import check_name
from stretto.memory.recollection.forms import MemoryStats, current_time
from stretto.memory.recollection.receipts import Receipt, keep_receipt

if TYPE_CHECKING:
    from stretto.memory.embeddings import Embedder

DAY = 86_400.0
MOST_SECONDS = 1e12


class MemoryKeeping(MemoryBase):
    """Forgets, copies, counts."""

    async def forget(
        self,
        *,
        ids: Collection[str] | None = None,
        scope: Scope | None = None,
        subject: str | None = None,
        run: str | None = None,
        purge: bool = False,
    ) -> Receipt:
        """Forget what fits everything that is named, and give the receipt.

        Summaries that were made of any of it go too, since they say what it said.

        Args:
            ids: these items; with an episode all that it is made of.
            scope: everything of a scope.
            subject: everything about somebody or something.
            run: everything that came of a run.
            purge: leave no byte of it in the folder; this stores everything else anew. A server
                says nothing of its own files.

        """
        subject, run = check_name("subject", subject), check_name("run", run)
        selection = forgetting.Selection(self._of(scope), _named(ids), subject, run)
        named = ids is not None or subject or run or (scope is not None and scope != Scope())
        if not named:
            told = "say what to forget: ids, a scope, a subject or a run"
            raise MemoryFault(told, code="item_invalid")
        if scope is not None and selection.scope != self.scope.within(scope):
            told = (
                f"this memory is that of {_own(self.scope)}, and forgets nothing of {_own(scope)}"
            )
            raise MemoryFault(told, code="scope_unknown")
        await self._core.ready()
        core = self._core
        gone = await forgetting.forget(core.backend, core.encoder, selection)
        embedded, purged = core.url is None, False
        try:
            if purge:
                purged = await purging.purge(core.backend, core.folder, gone.items, embedded)
        finally:  # whatever becomes of the files, it is forgotten
            receipt = forgetting.receipt_of(gone, selection, purged)
            await asyncio.to_thread(keep_receipt, core.folder / "receipts", receipt)
        return receipt

    def export(self, scope: Scope | None = None) -> AsyncIterator[dict[str, Any]]:
        """Give everything of a scope as JSON values, one for each item."""
        return transfer.export(self._core.backend, self._of(scope))

    async def import_(self, lines: Iterable[Mapping[str, Any] | str]) -> int:
        """Add what ``export`` gave, and tell how much was added.

        What is there stays as it is, but that facts of one key take each other's place.
        """
        await self._core.ready()
        core = self._core
        return await transfer.import_lines(
            core.backend, core.encoder, check_several("lines", lines), self.scope
        )

    async def stats(self) -> MemoryStats:
        """Tell how much of this memory's scope is remembered, and how it is found."""
        return await upkeep.stats(self._core.backend, self._core.encoder, self.scope)

    async def sweep(self) -> int:
        """Delete what has expired of this memory's scope, and tell how much.

        Vectors that are missing are made.
        """
        await self._core.ready()
        return await upkeep.sweep(self._core.backend, self._core.encoder, self.scope)

    async def compact(self) -> None:
        """Give back the room of what was deleted; this may stop the process for seconds."""
        await asyncio.wrap_future(self._core.backend.compact())

    async def reindex(self, embedder: "str | Embedder | None" = None) -> int:
        """Make all vectors anew, by another embedder if one is given, and count the items."""
        core = self._core
        encoder = core.encoder if embedder is None else core.encoder_of(embedder)
        marks = await asyncio.to_thread(marks_of, encoder.words, encoder.embedder)
        with core.renewing():
            count = await upkeep.reindex(core.backend, encoder, marks)
            core.use(encoder)
        return count

    async def consolidate(
        self,
        summarize: Summarize | None = None,
        *,
        contradict: Contradict | None = None,
        scope: Scope | None = None,
        older_than: float = 30 * DAY,
    ) -> Consolidation:
        """Sum up old episodes and find facts that contradict each other; nothing is lost.

        Args:
            summarize: sums up texts, by a model say; None sums up nothing.
            contradict: tells whether the second fact contradicts the first; None finds none.
            scope: whose; all of this memory if None.
            older_than: seconds since an episode.

        """
        check_number("older_than", older_than, 0, MOST_SECONDS, "query_invalid")
        await self._core.ready()
        plan = consolidation.Plan(self._of(scope), current_time() - older_than)
        core = self._core
        return await consolidation.consolidate(
            core.backend, core.encoder, plan, summarize, contradict
        )


def _named(ids: Collection[str] | None) -> list[str] | None:
    """Give the ids that are some; what is none names nothing."""
    if ids is None:
        return None
    return [known for id in check_several("ids", ids) if (known := id_of(id)) is not None]


def _own(scope: Scope) -> str:
    return "/".join(scope.namespace())
