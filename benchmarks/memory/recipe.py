"""The retrieval of memory by its parts, so that a part can be left out."""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory.conversations import Conversation, Said
from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.types import Filter, Match, Point, Query, Sparse
from stretto.memory.embeddings import Embedder
from stretto.memory.lexical import LexicalEncoder, smooth, smooth_dense
from stretto.memory.ranking import Candidate, rank

DEPTH = 200
"""Turns that are ranked."""
EPISODES = 64


@dataclass(frozen=True, slots=True)
class Parts:
    """What the recipe is made of; each can be left out."""

    smoothing: bool = True
    dates: bool = True
    episodes: bool = True
    stems: bool = True


class Recipe:
    """Conversations in the embedded engine, searched as recall searches them."""

    def __init__(self, folder: Path, embedder: Embedder | None, parts: Parts | None = None) -> None:
        """Keep everything in ``folder``; search by meaning too if there is an embedder."""
        self.parts = parts or Parts()
        self._embedder = embedder
        self._words = LexicalEncoder("english" if self.parts.stems else "any")
        self._backend = EdgeBackend(folder, embedder.dims if embedder else None)
        self._turns: dict[str, tuple[Said, str]] = {}

    def add(self, conversation: Conversation) -> None:
        """Remember a conversation."""
        for session in conversation.sessions:
            if session:
                self._backend.upsert(self._points(conversation.name, session)).result()

    def search(self, conversation: str, question: str) -> list[str]:
        """Give the ids of the turns of a conversation, the best first."""
        words = self._words.encode_query(question)
        within = (Match("tenant", conversation),)
        turns, episodes = (Filter((*within, Match("kind", k))) for k in ("message", "episode"))
        queries = [
            Query("lex", words, turns, DEPTH),
            Query("lex_ep", words, episodes, EPISODES),
        ]
        if self._embedder is not None:
            near = self._embedder.embed([question])[0]
            queries.append(Query("dense", near, turns, DEPTH))
        by_words, found, *rest = self._backend.query(queries).result()
        priors = {each.id: each.score or 0.0 for each in found if self.parts.episodes}
        scores = {each.id: each.score or 0.0 for each in by_words}
        meanings = {each.id: each.score for each in (rest[0] if rest else ())}
        candidates = [
            Candidate(
                id=id,
                text="",
                lexical=scores.get(id, 0.0),
                episode=priors.get(self._turns[id][1], 0.0),
                dense=meanings.get(id),
            )
            for id in scores | meanings
        ]
        ranked = rank(candidates, now=time.time())
        return [self._turns[each.candidate.id][0].id for each in ranked]

    def close(self) -> None:
        """Let go of the engine."""
        self._backend.close()

    def _points(self, tenant: str, session: tuple[Said, ...]) -> list[Point]:
        texts = [f"{turn.author}: {turn.text}" for turn in session]
        dates = [turn.at if self.parts.dates else None for turn in session]
        lexical: list[Sparse] = [
            self._words.encode(text, at) for text, at in zip(texts, dates, strict=True)
        ]
        dense = self._embedder.embed(texts) if self._embedder else None
        if self.parts.smoothing:
            lexical = smooth(lexical)
            dense = smooth_dense(dense) if dense else None
        episode = _id(tenant, session[0].session)
        whole = self._words.encode_episode("\n".join(texts), dates[0])
        points = [Point(episode, {"tenant": tenant, "kind": "episode"}, lex_ep=whole)]
        for place, turn in enumerate(session):
            id = _id(tenant, turn.id)
            self._turns[id] = turn, episode
            payload = {"tenant": tenant, "kind": "message"}
            near = dense[place] if dense else None
            points.append(Point(id, payload, lexical[place], dense=near))
        return points


def _id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, " ".join(parts)))  # ties fall the same way each time
