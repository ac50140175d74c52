"""The search behind a recall: by words, by episodes, by meaning."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Filter, Query, Record, Sparse
from stretto.memory.calls import answer
from stretto.memory.meaning import Dense
from stretto.memory.recollection.question import Question

EPISODES = 64
"""How many episodes are scored."""
BREADTH, LEAST, LEAST_EACH = 4, 40, 32
"""How many times ``k`` items are looked at, and at least how many: by one search, by each of two,
which find in part what the other one does not."""
ENOUGH = 2
"""How many times ``k`` items that hold are enough, where others had to be left out."""
DEEPER, DEEPEST = 5, 1000
"""How many times as much is looked at where most of it says the same, and how much at most."""


@dataclass(slots=True)
class Found:
    """What a search found."""

    records: dict[str, Record] = field(default_factory=dict[str, Record])
    """What can be an answer, by id."""
    words: dict[str, float] = field(default_factory=dict[str, float])
    """BM25 by id, also of what is no answer."""
    wholes: dict[str, float] = field(default_factory=dict[str, float])
    """BM25 by id of conversations and runs that can be an answer as a whole."""
    meanings: dict[str, float] = field(default_factory=dict[str, float])
    """Cosines by id of what is nearest, also of what is no answer."""
    episodes: Mapping[str, float] = field(default_factory=dict[str, float])
    """BM25 by id of conversations and runs, whose parts may be answers."""
    limit: int = 0
    """How much each of the searches may find."""

    @property
    def is_all(self) -> bool:
        """Whether no search could have found more."""
        return all(len(s) < self.limit for s in (self.words, self.meanings, self.wholes))

    def runs_short(self, holding: Mapping[str, Record], enough: int) -> bool:
        """Tell whether what has ended kept a search from finding enough that holds."""
        for scores in (self.words, self.meanings, self.wholes):
            own = [*scores][: self.limit]  # behind them, what only the other search found
            left = sum(id in holding for id in own)
            if left < len(own) == self.limit and left < enough:
                return True
        return False


async def search(
    backend: Backend,
    question: Question,
    words: Sparse,
    dense: Dense,
    now: float,
    limit: int | None = None,
) -> Found:
    """Find what may answer a question.

    Few items have ended or expired, and to look at that for every item takes longer than all the
    rest. So it is looked at in what was found, and where too little of what a search found is left,
    it is asked for after all.

    Args:
        backend: where.
        question: what is asked.
        words: its words; may be empty.
        dense: its meaning, or None.
        now: the time, in seconds since 1970.
        limit: how much each search may find; what is usual if None.

    """
    view = question.view
    both = bool(words[0]) and dense is not None
    limit = limit or max(BREADTH * question.k, LEAST_EACH if both else LEAST)
    found = await _find(backend, question, words, dense, view.likely(), limit)
    holding = {id: r for id, r in found.records.items() if view.holds(r.payload, now)}
    if len(holding) < len(found.records) and found.runs_short(holding, ENOUGH * question.k):
        return await _find(backend, question, words, dense, view.filter(now), limit)
    found.records = holding
    return found


async def _find(
    backend: Backend,
    question: Question,
    words: Sparse,
    dense: Dense,
    held: Filter,
    limit: int,
) -> Found:
    vectors = question.diversity > 0
    queries: list[Query] = []
    if words[0]:
        both = dense is not None
        queries.append(Query("lex", words, held, limit, vectors, scores_others=both))
        whole = question.view.episodes()
        queries.append(Query("lex_ep", words, whole, EPISODES, with_payload=False))
    if dense is not None:
        queries.append(Query("dense", dense, held, limit, vectors))
    if words[0] and question.wants_episodes:
        queries.append(Query("lex_ep", words, held, limit, vectors))
    answers = await answer(backend.query(queries))
    by_words, in_episodes = (answers[0], answers[1]) if words[0] else ([], [])
    by_meaning = answers[2 if words[0] else 0] if dense is not None else []
    as_wholes = answers[-1] if words[0] and question.wants_episodes else []
    return Found(
        {record.id: record for record in (*by_words, *by_meaning, *as_wholes)},
        _scores(by_words),
        _scores(as_wholes),
        _scores(by_meaning),
        _scores(in_episodes),
        limit,
    )


def _scores(records: Iterable[Record]) -> dict[str, float]:
    return {record.id: record.score or 0.0 for record in records}
