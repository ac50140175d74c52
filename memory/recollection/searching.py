"""The search behind a recall: by words, by episodes, by meaning."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Filter, Query, Record, Sparse
from stretto.memory.calls import answer
from stretto.memory.recollection.encoding import Dense
from stretto.memory.recollection.question import Question

EPISODES = 64
"""How many episodes are scored."""
BREADTH, LEAST, LEAST_EACH = 4, 40, 32
"""How many times ``k`` items are looked at, and at least how many: by one search, by each of two,
which find in part what the other one does not."""
ENOUGH = 2
"""How many times ``k`` items that hold are enough, where others had to be left out."""


@dataclass(slots=True)
class Found:
    """What a search found."""

    records: dict[str, Record] = field(default_factory=dict[str, Record])
    """What can be an answer, by id."""
    words: dict[str, float] = field(default_factory=dict[str, float])
    """BM25 by id, also of what is no answer."""
    meanings: dict[str, float] = field(default_factory=dict[str, float])
    """Cosines by id of what is nearest, also of what is no answer."""
    episodes: Sequence[Record] = ()
    """Conversations and runs with their scores."""
    limit: int = 0
    """How much each of the two searches may find."""

    def runs_short(self, holding: Mapping[str, Record], enough: int) -> bool:
        """Tell whether what has ended kept a search from finding enough that holds."""
        for scores in (self.words, self.meanings):
            own = [*scores][: self.limit]  # behind them, what only the other search found
            left = sum(id in holding for id in own)
            if left < len(own) == self.limit and left < enough:
                return True
        return False


async def search(
    backend: Backend, question: Question, words: Sparse, dense: Dense, now: float
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

    """
    view = question.view
    found = await _find(backend, question, words, dense, view.likely())
    holding = {id: r for id, r in found.records.items() if view.holds(r.payload, now)}
    if len(holding) < len(found.records) and found.runs_short(holding, ENOUGH * question.k):
        return await _find(backend, question, words, dense, view.filter(now))
    found.records = holding
    return found


async def _find(
    backend: Backend,
    question: Question,
    words: Sparse,
    dense: Dense,
    held: Filter,
) -> Found:
    both = bool(words[0]) and dense is not None
    limit = max(BREADTH * question.k, LEAST_EACH if both else LEAST)
    vectors = question.diversity > 0
    queries: list[Query] = []
    if words[0]:
        queries.append(Query("lex", words, held, limit, vectors, scores_others=both))
        whole = question.view.episodes()
        told = question.wants_episodes
        queries.append(Query("lex_ep", words, whole, EPISODES, vectors and told, with_payload=told))
    if dense is not None:
        queries.append(Query("dense", dense, held, limit, vectors))
    answers = await answer(backend.query(queries))
    by_words, in_episodes = (answers[0], answers[1]) if words[0] else ([], [])
    by_meaning = answers[-1] if dense is not None else []
    found = {record.id: record for record in (*by_words, *by_meaning)}
    return Found(found, _scores(by_words), _scores(by_meaning), in_episodes, limit)


def _scores(records: Iterable[Record]) -> dict[str, float]:
    return {record.id: record.score or 0.0 for record in records}
