"""What of everything that was found is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from stretto.memory.backend.types import Filter, Match, Range, Record, Vectors
from stretto.memory.item import Kind, MemoryItem
from stretto.memory.ranking import Candidate, Ranked, collapse, diversify, rank
from stretto.memory.recollection.filters import View
from stretto.memory.recollection.question import Question
from stretto.memory.recollection.recollection import Recalled, Recollection
from stretto.memory.recollection.searching import DEEPER, DEEPEST, Found

NO_VECTORS = Vectors()


@dataclass(slots=True)
class Choice:
    """The answer to a question, as it is put together."""

    question: Question
    now: float
    items: dict[str, MemoryItem] = field(default_factory=dict[str, MemoryItem])
    """What was chosen, by id."""

    def choose(self, found: Found) -> list[Ranked]:
        """Choose what is worth telling, the best first."""
        records, words = found.records, found.words
        if found.wholes:
            words = found.wholes | words
        candidates = [
            _candidate(record, words.get(id, 0.0), found.episodes, found.meanings.get(id))
            for id, record in records.items()
        ]
        question = self.question
        farthest = min(found.meanings.values(), default=None)
        ranked = rank(candidates, self.now, question.recency, farthest)
        good = takewhile(lambda each: each.score >= question.min_score, ranked)
        different = collapse(good, None if question.diversity else question.k)
        chosen = diversify(different, question.k, question.diversity)
        ids = (each.candidate.id for each in chosen)
        self.items = {id: MemoryItem.from_payload(records[id].payload) for id in ids}
        return chosen

    def deeper(self, chosen: Sequence[Ranked], found: Found) -> int | None:
        """Give the limit of a search for what is hidden behind many that say the same, if any."""
        few = len(chosen) < self.question.k and any(each.seen > 1 for each in chosen)
        if not few or found.limit >= DEEPEST or found.is_all:
            return None
        return min(found.limit * DEEPER, DEEPEST)

    def around(self, chosen: Sequence[Ranked]) -> Filter | None:
        """Give the filter of the turns next to those that were chosen; None when there are none."""
        reach = self.question.neighbours
        if reach < 1:
            return None
        spans = tuple(
            Filter((Match("episode_id", near), Range("position", gte=at - reach, lte=at + reach)))
            for near, at in (_place(self.items[each.candidate.id]) for each in chosen)
            if near is not None
        )
        if not spans:
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
        for hit in tuple(told.items) if around else ():
            episode, at = _place(hit.item)
            for turn in around:
                near, place = _place(turn)
                if near == episode and abs(place - at) <= self.question.neighbours:
                    told.add(Recalled(turn, hit.score, hit.why, neighbour=True))
        return Recollection(self.question.query, tuple(told.items))


def _candidate(
    record: Record, words: float, episodes: Mapping[str, float], meaning: float | None
) -> Candidate:
    """Read of a record what it is ranked by; the whole item only if it is chosen."""
    payload = record.payload
    vectors = record.vectors or NO_VECTORS
    return Candidate(
        record.id,
        payload["text"],
        words,
        episodes.get(payload.get("episode_id", ""), 0.0),
        meaning,
        payload["importance"],
        payload.get("valid_from", payload["created_at"]),
        vectors.lex,
        vectors.dense,
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
        if recalled.item.id in self.ids:
            return
        if self.budget is not None:
            tokens = self.tokens + recalled.tokens
            if tokens > self.budget:
                return
            self.tokens = tokens
        self.items.append(recalled)
        self.ids.add(recalled.item.id)


def _place(item: MemoryItem) -> tuple[str | None, int]:
    """Give the conversation that a turn is a part of, and its place in it."""
    if item.kind != Kind.MESSAGE or item.position is None:
        return None, 0
    return item.episode_id, item.position
