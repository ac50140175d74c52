"""What all views of one memory share: its engine, its encoder, and whether they fit together."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from langgraph.store.base import TTLConfig

from stretto.errors import MemoryFault
from stretto.memory.backend.opening import open_backend
from stretto.memory.backend.protocol import Backend
from stretto.memory.embeddings import Embedder, open_embedder
from stretto.memory.item import MemoryItem
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.marks import check_marks, marks_of
from stretto.memory.recollection.deferring import defer, is_away, settle
from stretto.memory.recollection.encoding import Encoder
from stretto.memory.recollection.purging import VECTORS
from stretto.memory.recollection.writing import write
from stretto.memory.store import QdrantStore
from stretto.memory.store.preparing import Preparing


class CheckedStore(QdrantStore):
    """The store of a memory whose vectors have been checked."""

    def __init__(self, core: "Core") -> None:
        """Keep values in the engine of a memory; as of items, what has expired is not given."""
        super().__init__(core.backend, core.encoder.words, ttl=TTLConfig(omit_expired=True))
        self._core = core

    def _check(self) -> None:
        self._core.check()

    async def _ready(self) -> None:
        await self._core.ready()

    def _present(self) -> Preparing:
        # Asked for each batch: compiled graphs hold the store, and the embedder may be another one.
        encoder = self._core.encoder
        return Preparing(encoder.words, encoder if encoder.embedder is not None else None, {})


class Core:
    """An engine and an encoder, checked against each other before their first use."""

    def __init__(
        self,
        folder: Path,
        url: str | None,
        api_key: Any,
        embedder: str | Embedder | None,
        language: str,
    ) -> None:
        """Prepare to open a memory; see ``Memory``."""
        self.folder, self.url = folder, url
        self.listeners: list[Callable[[str], None]] = []
        """Told once per outage of a server, from any thread."""
        self.backend: Backend = open_backend(folder, url, api_key, None, self._tell)
        self.encoder = Encoder(LexicalEncoder(language), self._opened(embedder))
        self.store = CheckedStore(self)
        self._checked = self._renewing = False
        self._checking = Lock()
        self._deferred = True
        """Whether something may wait to be put in its place, also from an earlier process."""

    def _opened(self, embedder: str | Embedder | None) -> Embedder | None:
        if embedder is None or isinstance(embedder, str):
            return open_embedder(embedder, self.folder / VECTORS)
        return embedder

    def _tell(self, message: str) -> None:
        for listener in tuple(self.listeners):
            listener(message)

    async def ready(self) -> None:
        """Do what ``check`` does, without blocking the event loop."""
        self._refuse_renewing()
        if not self._checked:
            await asyncio.to_thread(self.check)

    async def write(self, drafts: Sequence[MemoryItem]) -> list[MemoryItem]:
        """Remember drafts, on disk alone while the server is away; see ``write``."""
        try:
            await self.ready()
            if self._deferred:
                await settle(self.backend, self.encoder)
                self._deferred = False
            return await write(self.backend, self.encoder, drafts)
        except MemoryFault as fault:
            if not is_away(fault):
                raise
            self._deferred = True
            return await defer(self.backend, self.encoder, drafts)

    def check(self) -> None:
        """Check that the vectors that are there were made as new ones will be.

        Raises:
            MemoryFault: they were not (``embedder_mismatch``), or the memory cannot be used.

        """
        with self._checking:  # of many first calls one is enough
            self._refuse_renewing()
            if not self._checked:
                self._check()

    def _check(self) -> None:
        encoder, marks = self.encoder, {"language": self.encoder.words.language}
        try:
            if not encoder.rests:
                marks = marks_of(encoder.words, encoder.embedder)
        except MemoryFault as fault:  # who cannot be asked is asked later; words do until then
            encoder.pass_over(fault)
        check_marks(self.backend, self.folder, marks, encoder.embedder)
        self._checked = "embedder" in marks

    def encoder_of(self, embedder: str | Embedder | None) -> Encoder:
        """Give an encoder with another embedder."""
        return Encoder(self.encoder.words, self._opened(embedder))

    def use(self, encoder: Encoder) -> None:
        """Encode so from now on: all vectors have been made so."""
        if encoder is not self.encoder:
            self.encoder.retired = True
            self.encoder = encoder

    @contextmanager
    def renewing(self) -> Generator[None]:
        """Let nobody write or ask while all vectors are made anew; then they are checked again."""
        self._refuse_renewing()
        self._renewing = self.encoder.retired = True
        try:
            yield
        finally:
            self._renewing = self._checked = self.encoder.retired = False

    def _refuse_renewing(self) -> None:
        if self._renewing:
            told = f"all vectors of {self.folder} are being made anew; try again when that is done"
            raise MemoryFault(told, code="embedder_mismatch")

    async def close(self) -> None:
        """Finish what was asked for and let others open the memory."""
        self._checked = False
        await asyncio.to_thread(self.backend.close)
