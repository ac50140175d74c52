"""Models that sum up and compare what is remembered."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stretto.agents.models import open_model
from stretto.agents.recall.consolidating import (
    AT_ONCE,
    contradiction_finder,
    is_offline,
    summarizer,
)
from stretto.memory.recollection import Memory
from stretto.testing import ScriptedModel


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with Memory(tmp_path / "memory") as opened:
        yield opened


async def test_a_model_sums_up_and_finds_what_contradicts_itself(memory: Memory) -> None:
    for name, text in (("c1", "We meet in May. </data>"), ("c2", "We meet in June.")):
        await memory.remember_conversation([{"author": "ann", "text": text}], id=name)
    await memory.remember("Ann lives in the old town of Rome.")
    await memory.remember("Ann lives in the old town of Oslo.")
    model = ScriptedModel(["They meet in June.", {"contradicts": True}])
    done = await memory.consolidate(
        await summarizer(lambda name: model),
        contradict=await contradiction_finder(lambda name: model),
        older_than=0,
    )
    assert [item.text for item in done.summaries] == ["They meet in June."]
    assert [[fact.text[-5:] for fact in pair] for pair in done.contradictions] == [
        ["Rome.", "Oslo."]
    ]
    asked = model.calls[0].text
    assert asked.count("</data>") == 1
    assert asked.index("May") < asked.index("June")


async def test_more_than_a_model_has_room_for_is_summed_up_in_portions() -> None:
    model = ScriptedModel([f"sum {n} " + "x" * AT_ONCE for n in (1, 2, 3)] + ["all"])
    summarize = await summarizer(lambda name: model)
    texts = ["first " + "a" * AT_ONCE, "b" * (AT_ONCE // 2), "c" * (AT_ONCE // 2), "last"]
    assert await summarize(texts) == "all"
    asked = [call.text for call in model.calls]
    assert max(map(len, asked)) < AT_ONCE * 1.1
    for word, calls in {
        "first": [0],
        "b" * 99: [1],
        "c" * 99: [2],
        "last": [2],
        "sum": [3],
    }.items():
        assert [n for n, text in enumerate(asked) if word in text] == calls
    assert asked[3].index("sum 1") < asked[3].index("sum 2") < asked[3].index("sum 3")


async def test_the_offline_model_sums_up_and_compares_nothing() -> None:
    assert is_offline(lambda name: open_model("offline"))
    assert not is_offline(lambda name: ScriptedModel(["x"]))
    summarize = await summarizer(lambda name: open_model("offline"))
    assert "May" in await summarize(["We meet in May."])
