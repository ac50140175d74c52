"""The door: what an application, an agent or a person does with a memory."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from stretto.errors import MemoryFault
from stretto.memory.embeddings import open_embedder
from stretto.memory.item import EVERYTHING, Scope, Source
from stretto.memory.recollection.checks import check_scope, check_several
from stretto.memory.recollection.core import Core
from stretto.memory.recollection.drafts import check_name
from stretto.memory.recollection.filters import View
from stretto.memory.recollection.forms import Moment, seconds
from stretto.memory.recollection.keeping import MemoryKeeping
from stretto.memory.recollection.purging import VECTORS
from stretto.memory.recollection.question import Question, check_question
from stretto.memory.recollection.recalling import recall
from stretto.memory.recollection.recollection import Recollection
from stretto.memory.recollection.remembering import MemoryWriting

if TYPE_CHECKING:
    from pydantic import SecretStr

    from stretto.config import Settings
    from stretto.memory.embeddings import Embedder
    from stretto.memory.store import QdrantStore


class Memory(MemoryWriting, MemoryKeeping):
    """What is known from earlier runs and conversations, about whomever it is.

    Nothing is opened before the first call. Everything may raise MemoryFault: its ``code`` says
    what is wrong, its message what to do. A memory sees its own scope only; ``scope`` in a call
    narrows that further and never widens it.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        url: str | None = None,
        api_key: "SecretStr | str | None" = None,
        embedder: "str | Embedder | None" = None,
        scope: Scope = EVERYTHING,
        language: str = "english",
        on_error: Literal["degrade", "raise"] = "degrade",
    ) -> None:
        """Prepare to open a memory.

        Args:
            folder: where it is kept, and where a server's waits while it is away; ``memory`` in
                ``.stretto`` if None.
            url: address of a Qdrant server; None keeps everything in the folder.
            api_key: what the server asks for.
            embedder: finds by meaning too: ``openai:NAME`` or another name of LangChain's,
                ``dir:FOLDER`` of a local model; None finds by words.
            scope: whose memory this is.
            language: of the texts, in English; ``any`` for several.
            on_error: whether a recall finds nothing or raises when the memory cannot be used.

        Raises:
            ConfigurationError: the embedder or the language is not known.

        """
        home = Path(folder) if folder is not None else Path(".stretto") / "memory"
        self.scope = check_scope(scope)
        self.on_error = on_error
        self._core = Core(home, url, api_key, embedder, language)
        self._source = Source()
        self._on_degraded: Callable[[str], None] | None = None
        self._owns = True

    @classmethod
    def from_settings(cls, settings: "Settings") -> "Memory":
        """Prepare the memory that the settings of a deployment name."""
        folder = settings.home / "memory"
        embedder = open_embedder(
            settings.embedder,
            folder / VECTORS,
            api_key=settings.openai_api_key,
            base_url=settings.openai_base_url,
        )
        return cls(
            folder, url=settings.qdrant_url, api_key=settings.qdrant_api_key, embedder=embedder
        )

    @property
    def store(self) -> "QdrantStore":
        """The same memory as a LangGraph store; closing it closes the memory."""
        return self._core.store

    def within(
        self,
        scope: Scope,
        source: Source | None = None,
        on_degraded: Callable[[str], None] | None = None,
    ) -> "Memory":
        """Give this memory as somebody sees it; closing what comes out closes nothing.

        Args:
            scope: whose it is; what this memory's scope says wins.
            source: where things come from that are remembered without saying so.
            on_degraded: told once why the memory cannot be used.

        """
        view = object.__new__(Memory)
        view.scope = check_scope(scope).within(self.scope)
        view.on_error = self.on_error
        view._core, view._owns = self._core, False
        view._source = source or self._source
        view._on_degraded = on_degraded
        return view

    async def recall(
        self,
        query: str,
        *,
        scope: Scope | None = None,
        k: int = 8,
        budget_tokens: int | None = None,
        neighbours: int = 1,
        kinds: Collection[str] | None = None,
        subject: str | None = None,
        key: str | None = None,
        as_of: Moment | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        recency: float = 0.0,
        diversity: float = 0.0,
        min_score: float = 0.0,
    ) -> Recollection:
        """Find what bears on a question, the best first.

        Args:
            query: what is asked.
            scope: whose memory is looked at; all of this one's if None.
            k: how many hits at most.
            budget_tokens: how many tokens all of it may take, as estimated.
            neighbours: how many turns before and after a hit are told with it.
            kinds: only these, or this one; see ``Kind``.
            subject: only what is about this.
            key: only facts of this key.
            as_of: what held at a time, instead of what holds now.
            since: only what was said from then on.
            until: only what was said up to then.
            recency: how much newer things are preferred; 0 not at all.
            diversity: 0 to 1: how much hits should differ from each other.
            min_score: leaves out hits below it; the best hit has a score near 1.

        """
        view = View(
            self._of(scope),
            (kinds,) if isinstance(kinds, str) else kinds and [*check_several("kinds", kinds)],
            check_name("subject", subject),
            check_name("key", key),
            *(None if moment is None else seconds(moment) for moment in (as_of, since, until)),
        )
        question = Question(
            query, view, k, budget_tokens, neighbours, recency, diversity, min_score
        )
        check_question(question)
        try:
            await self._core.ready()
            return await recall(self._core.backend, self._core.encoder, question)
        except MemoryFault as fault:
            if self.on_error == "raise" or not fault.degrades:
                raise
            self._degrade(fault.message)
            return Recollection(query, degraded=fault.message)

    async def close(self) -> None:
        """Finish what was asked for and let others open the memory."""
        if self._owns:
            await self._core.close()

    async def __aenter__(self) -> Self:
        """Use the memory until the end of the block."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        await self.close()
