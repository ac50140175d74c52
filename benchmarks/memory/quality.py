"""How much of the labelled evidence recall finds: ``python -m benchmarks.memory.quality DATA``."""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from benchmarks.memory.conversations import ADVERSARIAL, Conversation, Question, read_conversations
from benchmarks.memory.recipe import Parts, Recipe
from stretto.memory.embeddings import Embedder, open_embedder
from stretto.memory.item import Scope
from stretto.memory.recollection import Memory, Turn

CUTS = (5, 10, 20)
DEEP = 100
"""Turns among which there are ten sessions."""
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}


@dataclass(frozen=True, slots=True)
class Found:
    """The turns that were found for one question, the best first."""

    conversation: str
    question: Question
    turns: Sequence[str]
    deep: Sequence[str] = ()
    """The same and more, for the sessions."""
    seconds: float = 0.0

    def recall(self, cut: int) -> float:
        """Give the part of the evidence among the first ``cut`` turns."""
        return _part(self.question.evidence, self.turns[:cut])

    def session_recall(self, cut: int) -> float:
        """Give the part of the evidence's sessions among the first ``cut`` different ones."""
        sessions = list(dict.fromkeys(_session(turn) for turn in self.deep or self.turns))
        return _part({_session(turn) for turn in self.question.evidence}, sessions[:cut])

    def reciprocal_rank(self) -> float:
        """Give 1 over the place of the first turn of the evidence; 0 when it was not found."""
        places = (1 / n for n, turn in enumerate(self.turns, 1) if turn in self.question.evidence)
        return next(places, 0.0)


def _session(turn: str) -> str:
    return turn.partition(":")[0]


def _part(wanted: frozenset[str] | set[str], found: Sequence[str]) -> float:
    return len(wanted & set(found)) / len(wanted)


def ask_all(
    conversations: Sequence[Conversation], embedder: Embedder | None, parts: Parts | None = None
) -> list[Found]:
    """Remember all conversations in one memory, and ask every question of its own one.

    Args:
        conversations: what is remembered, and the questions.
        embedder: finds by meaning too.
        parts: leaves parts of the recipe out; None asks ``Memory`` itself.

    """
    with tempfile.TemporaryDirectory() as folder:
        if parts is None:
            return asyncio.run(_ask_memory(Path(folder), conversations, embedder))
        recipe = Recipe(Path(folder), embedder, parts)
        try:
            for each in conversations:
                recipe.add(each)
            asked = [(each.name, question) for each in conversations for question in each.questions]
            return [Found(name, asks, recipe.search(name, asks.text)) for name, asks in asked]
        finally:
            recipe.close()


async def _ask_memory(
    folder: Path, conversations: Sequence[Conversation], embedder: Embedder | None
) -> list[Found]:
    """Use nothing but what an application uses: a tenant per conversation, an id per session."""
    async with Memory(folder, embedder=embedder, on_error="raise") as memory:
        for each in conversations:
            for session in filter(None, each.sessions):
                turns = [Turn(said.author, said.text, said.at, said.id) for said in session]
                await memory.remember_conversation(
                    turns, id=session[0].session, scope=Scope(tenant=each.name)
                )
        asked = [(each.name, question) for each in conversations for question in each.questions]
        return [await _ask(memory, name, question) for name, question in asked]


async def _ask(memory: Memory, name: str, question: Question) -> Found:
    found: list[list[str]] = []
    begin = time.perf_counter()
    for k in (DEEP, CUTS[-1]):
        begin = time.perf_counter()
        recalled = await memory.recall(question.text, scope=Scope(name), k=k, neighbours=0)
        found.append([each.item.source.message_id or "" for each in recalled.items])
    seconds = time.perf_counter() - begin
    return Found(name, question, found[1], found[0], seconds)


def figures(found: Sequence[Found]) -> str:
    """Give one line of figures, in percent where not said otherwise."""
    if not found:
        return "n=0"
    turns = " / ".join(f"{100 * fmean(each.recall(cut) for each in found):.1f}" for cut in CUTS)
    rank = fmean(each.reciprocal_rank() for each in found)
    sessions = 100 * fmean(each.session_recall(10) for each in found)
    return f"n={len(found):<5} R@5/10/20 {turns}  MRR {rank:.3f}  session R@10 {sessions:.1f}"


def report(found: Sequence[Found], names: Sequence[str]) -> str:
    """Give all figures: together, for each half of the conversations, and by category."""
    usual = [each for each in found if each.question.category != ADVERSARIAL]
    half = len(names) // 2
    rows = {
        "categories 1-4": usual,
        "  first half": [each for each in usual if each.conversation in names[:half]],
        "  second half": [each for each in usual if each.conversation in names[half:]],
    }
    for number, name in CATEGORIES.items():
        rows[name] = [each for each in found if each.question.category == number]
    lines = [f"{name:<24} {figures(rows[name])}" for name in rows]
    milliseconds = 1000 * median(each.seconds for each in found)
    return "\n".join([*lines, f"query p50 {milliseconds:.2f} ms"])


def main() -> None:
    """Measure a file of conversations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a JSON file in the format of LoCoMo")
    parser.add_argument("--embedder", help="dir:PATH or provider:model; none by default")
    parser.add_argument("--cache", type=Path, help="where vectors are kept between runs")
    parser.add_argument(
        "--without",
        action="append",
        choices=Parts.__slots__,
        help="a part of the recipe that is left out, to see what it is worth",
    )
    options = parser.parse_args()
    conversations = read_conversations(options.data)
    parts = Parts(**dict.fromkeys(options.without, False)) if options.without else None
    found = ask_all(conversations, open_embedder(options.embedder, options.cache), parts)
    print(report(found, [each.name for each in conversations]))


if __name__ == "__main__":
    main()
