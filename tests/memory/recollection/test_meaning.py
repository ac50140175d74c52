"""Recall by words and by meaning together: each finds what the other one does not."""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import pytest

from stretto.memory.recollection import Memory, NewItem, RunMemory

ELSEWHERE = (0.0, 0.0, 1.0)


def near(cosine: float) -> tuple[float, float, float]:
    """Give a vector of this cosine to the question's."""
    return cosine, sqrt(1 - cosine * cosine), 0.0


class Placed:
    """An embedder for which a word of a text says where the text is."""

    name, dims, fingerprint = "placed", 3, "placed"

    def __init__(self, **places: tuple[float, float, float]) -> None:
        self.places = {"question": near(1.0), **places}

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give the place of the first word that has one."""
        placed = [[self.places[w] for w in text.split() if w in self.places] for text in texts]
        return [list([*found, ELSEWHERE][0]) for found in placed]


@pytest.mark.parametrize("ended", [31, 32, 40])
async def test_what_has_ended_hides_nothing_that_holds(tmp_path: Path, ended: int) -> None:
    embedder = Placed(plan=ELSEWHERE, note=near(0.3))
    async with Memory(tmp_path / "memory", embedder=embedder, on_error="raise") as memory:
        versions = [NewItem(f"ann plan {n}", key="plan", at=float(n)) for n in range(ended)]
        notes = [NewItem(f"note {n} of something else") for n in range(40)]
        last = NewItem("ann plan is the one for teams and offices now", key="plan", at=1e9)
        await memory.remember_many([*versions, *notes, last])
        found = (await memory.recall("question ann plan")).items
    assert found[0].item.text == last.text


async def test_what_words_alone_found_is_as_far_as_the_farthest_that_was_found(
    tmp_path: Path,
) -> None:
    embedder = Placed(old=near(0.5), mid=near(0.95), far=near(0.0), close=near(0.95))
    async with Memory(tmp_path / "memory", embedder=embedder, on_error="raise") as memory:
        ended = [NewItem(f"old {n}", key="k", at=float(n)) for n in range(40)]
        held = [NewItem(f"mid {n}") for n in range(6)] + [NewItem(f"ink far {n}") for n in range(6)]
        await memory.remember_many([*ended, NewItem("other", key="k", at=1e9), *held])
        await memory.remember("ink close but of some more words")
        found = (await memory.recall("question ink", k=3)).items
    assert found[0].item.text.startswith("ink close")
    assert [each.why.dense for each in found[1:]] == [None, None]
    assert found[1].score == found[2].score < 0.9


async def test_runs_that_their_parts_words_found_are_spread_too(tmp_path: Path) -> None:
    embedder = Placed(near=near(0.5), alpha=near(0.3), beta=(0.1, 0.0, 0.99))
    async with Memory(tmp_path / "memory", embedder=embedder, on_error="raise") as memory:
        for n in range(60):
            await memory.remember_run(RunMemory(f"n{n}", "near by", {}, {"s": "thing"}, n))
        for n, name in enumerate(("alpha one", "alpha two", "beta three")):
            outputs = {"s": "zebra stripes" + " pad" * (n == 2)}
            await memory.remember_run(RunMemory(f"r{n}", name, {}, outputs, name))
        asked = "question zebra stripes"
        found = (await memory.recall(asked, kinds=["episode"], k=2, diversity=0.5)).items
    assert sorted(each.item.text.split()[2] for each in found) == ["alpha", "beta"]
