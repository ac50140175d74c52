"""Recall: one search by words, episodes and meaning, then what is worth telling."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Filter, Match, Query, Range, Record
from stretto.memory.item import Kind, MemoryItem
from stretto.memory.ranking import Candidate, Ranked, collapse, diversify, rank
from stretto.memory.recollection.encoding import Dense, Encoder
from stretto.memory.recollection.filters import View
from stretto.memory.recollection.forms import MAX_CHARACTERS, current_time
from stretto.memory.recollection.recollection import Recalled, Recollection, estimate_tokens

EPISODES = 64
"""How many episodes are scored."""
DEPTH = 200
"""How deep the score is looked up of what was found by words only or by meaning only."""
BREADTH, LEAST = 4, 40
"""How many times ``k`` items are looked at, and at least how many."""
MAX_RECENCY = 10.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how the answer is chosen."""

    query: str
    view: View
    k: int = 8
    budget: int | None = None
    """Tokens that all of it may take."""
    neighbours: int = 1
    """How many turns before and after each hit are told too."""
    recency: float = 0.0
    diversity: float = 0.0
    min_score: float = 0.0


async def recall(backend: Backend, encoder: Encoder, question: Question) -> Recollection:
    """Answer a question from what is remembered.

    A question without a word that counts finds nothing.

    Raises:
        MemoryFault: the memory cannot be used.

    """
    words = encoder.words.encode_query(question.query)
    [dense] = await encoder.meanings([question.query]) if question.query.strip() else [None]
    if not words[0] and dense is None:
        return Recollection(question.query)
    now = current_time()
    search = Search(question, now)
    found = await asyncio.wrap_future(backend.query(search.queries(words, dense)))
    chosen = search.choose(found)
    around = search.around(chosen)
    turns: list[Record] = []
    if around is not None:
        limit = len(chosen) * (2 * question.neighbours + 1)
        turns, _ = await asyncio.wrap_future(backend.scroll(around, limit))
    return search.answer(chosen, [MemoryItem.from_payload(turn.payload) for turn in turns])


def check_question(question: Question) -> None:
    """Refuse figures that cannot be meant.

    Raises:
        MemoryFault: one is out of its range; the code is ``query_invalid``.

    """
    query: Any = question.query
    if not isinstance(query, str):
        raise MemoryFault("a query is a text; give what is asked", code="query_invalid")
    shares = {"diversity": question.diversity, "min_score": question.min_score}
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise MemoryFault(f"{name} is from 0 to 1, not {value}", code="query_invalid")
    least = {"k": (question.k, 1), "neighbours": (question.neighbours, 0)}
    least |= {"budget_tokens": (1 if question.budget is None else question.budget, 1)}
    for name, (number, low) in least.items():
        if number < low:
            raise MemoryFault(f"{name} is {low} or more, not {number}", code="query_invalid")
    if not 0 <= question.recency <= MAX_RECENCY:
        told = f"recency is from 0 to {MAX_RECENCY}, not {question.recency}"
        raise MemoryFault(told, code="query_invalid")
    if len(question.query) > MAX_CHARACTERS:
        told = f"a query has at most {MAX_CHARACTERS:,} characters; ask more briefly"
        raise MemoryFault(told, code="text_too_long")


@dataclass(slots=True)
class Search:
    """One question on its way to an answer."""

    question: Question
    now: float
    items: dict[str, MemoryItem] = field(default_factory=dict[str, MemoryItem])
    """What was chosen, by id."""

    def queries(self, words: tuple[Sequence[int], Sequence[float]], dense: Dense) -> list[Query]:
        """Give the searches: items by words, episodes by words, items by meaning.

        With both words and meaning two more follow, which give ids and scores alone.
        """
        view = self.question.view
        held, limit = view.filter(self.now), max(BREADTH * self.question.k, LEAST)
        vectors = self.question.diversity > 0
        queries: list[Query] = []
        if words[0]:
            queries.append(Query("lex", words, held, limit, vectors))
            told = self._episodes_wanted()
            seen = view.episodes(self.now)
            queries.append(Query("lex_ep", words, seen, EPISODES, with_payload=told))
        if dense is not None:
            queries.append(Query("dense", dense, held, limit, vectors))
        if words[0] and dense is not None:
            queries.append(Query("lex", words, held, DEPTH, with_payload=False))
            queries.append(Query("dense", dense, held, DEPTH, with_payload=False))
        return queries

    def choose(self, found: Sequence[Sequence[Record]]) -> list[Ranked]:
        """Choose what is worth telling, the best first."""
        by_words = found[0] if len(found) > 1 else ()
        episodes = {e.id: e.score or 0.0 for e in found[1]} if len(found) > 1 else {}
        by_meaning = found[2] if len(found) > 2 else found[0] if len(found) == 1 else ()
        deep_words, deep_meaning = found[3:] if len(found) > 3 else (by_words, by_meaning)
        if self._episodes_wanted() and len(found) > 1:
            by_words = [*by_words, *self._episodes(found[1], {r.id for r in by_words})]
        meanings = {record.id: record.score for record in (*deep_meaning, *by_meaning)}
        records = {record.id: record for record in (*by_meaning, *by_words)}
        words = {record.id: record.score or 0.0 for record in (*deep_words, *by_words)}
        candidates = [
            _candidate(record, words.get(id, 0.0), episodes, meanings.get(id))
            for id, record in records.items()
        ]
        question = self.question
        ranked = rank(candidates, self.now, question.recency)
        good = [each for each in ranked if each.score >= question.min_score]
        different = collapse(good, None if question.diversity else question.k)
        chosen = diversify(different, question.k, question.diversity)
        ids = (each.candidate.id for each in chosen)
        self.items = {id: MemoryItem.from_payload(records[id].payload) for id in ids}
        return chosen

    def _episodes_wanted(self) -> bool:
        kinds = self.question.view.kinds
        return kinds is not None and Kind.EPISODE in kinds

    def _episodes(self, found: Sequence[Record], known: set[str]) -> list[Record]:
        """Give the conversations that were found, whose own text is not searched."""
        view, held = self.question.view, list[Record]()
        for record in found:
            item = MemoryItem.from_payload(record.payload)
            fits = view.subject in (None, item.subject) and view.key in (None, item.key)
            at = item.valid_from or item.created_at
            fits &= (view.since or at) <= at <= (view.until or at) and at <= (view.as_of or at)
            if fits and record.id not in known:
                held.append(record)
        return held

    def around(self, chosen: Sequence[Ranked]) -> Filter | None:
        """Give the filter of the turns next to those that were chosen; None when there are none."""
        reach = self.question.neighbours
        spans = tuple(
            Filter((Match("episode_id", near), Range("position", gte=at - reach, lte=at + reach)))
            for near, at in (_place(self.items[each.candidate.id]) for each in chosen)
            if near is not None
        )
        if not spans or reach < 1:
            return None
        view = self.question.view
        near = View(view.scope, (Kind.MESSAGE,), as_of=view.as_of).filter(self.now)
        return Filter(near.must, near.must_not, spans)

    def answer(self, chosen: Sequence[Ranked], around: Sequence[MemoryItem]) -> Recollection:
        """Put together what fits: first everything that was chosen, then what stands next to it."""
        told = Told(self.question.budget)
        for each in chosen:
            item = self.items[each.candidate.id]
            told.add(Recalled(item, each.score, each.why, max(each.seen, item.seen_count)))
        for hit in tuple(told.items):
            episode, at = _place(hit.item)
            for turn in around:
                near, place = _place(turn)
                if near == episode and abs(place - at) <= self.question.neighbours:
                    told.add(Recalled(turn, hit.score, hit.why, neighbour=True))
        return Recollection(self.question.query, tuple(told.items), None, told.tokens)


def _candidate(
    record: Record, words: float, episodes: dict[str, float], meaning: float | None
) -> Candidate:
    """Read of a record what it is ranked by; the whole item only if it is chosen."""
    payload = record.payload
    return Candidate(
        id=record.id,
        text=payload["text"],
        lexical=words,
        episode=episodes.get(payload.get("episode_id", ""), 0.0),
        dense=meaning,
        importance=payload["importance"],
        at=payload.get("valid_from", payload["created_at"]),
        words=record.vectors.lex if record.vectors else None,
        meaning=record.vectors.dense if record.vectors else None,
    )


@dataclass(slots=True)
class Told:
    """What is told, as long as there is room."""

    budget: int | None
    items: list[Recalled] = field(default_factory=list[Recalled])
    tokens: int = 0
    ids: set[str] = field(default_factory=set[str])

    def add(self, recalled: Recalled) -> None:
        """Tell one more thing, unless it is told already or there is no room for it."""
        tokens = estimate_tokens(recalled.line() + "\n")
        fits = self.budget is None or self.tokens + tokens <= self.budget
        if fits and recalled.item.id not in self.ids:
            self.items.append(recalled)
            self.ids.add(recalled.item.id)
            self.tokens += tokens


def _place(item: MemoryItem) -> tuple[str | None, int]:
    """Give the conversation that a turn is a part of, and its place in it."""
    if item.kind != Kind.MESSAGE or item.position is None:
        return None, 0
    return item.episode_id, item.position
