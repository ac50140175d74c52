"""What a recall tells: how good, how different, and why."""

from functools import partial
from pathlib import Path

import pytest
from pydantic_core import to_jsonable_python

from stretto.memory.item import Scope
from stretto.memory.recollection import Memory, NewItem, Turn
from tests.fakes.embedders import WordEmbedder


async def fill(memory: Memory) -> None:
    texts = ("red boats sail", "red boats sail home", "red boats sail far", "a red door")
    await memory.remember_many(NewItem(text) for text in (*texts, "a green field"))


async def test_hits_below_the_least_score_are_left_out(memory: Memory) -> None:
    await fill(memory)
    every = [each.score for each in (await memory.recall("red boats")).items]
    assert every == sorted(every, reverse=True)
    assert len(every) == 4
    for least in (0.0, every[-1] + 1e-6, 1.0):
        found = (await memory.recall("red boats", min_score=least)).items
        assert [each.score for each in found] == [score for score in every if score >= least]


async def test_diversity_spreads_the_hits(memory: Memory) -> None:
    await fill(memory)
    near = await memory.recall("red boats", k=2)
    far = await memory.recall("red boats", k=2, diversity=1.0)
    assert all("boats" in each.item.text for each in near.items)
    assert near.items[0].item == far.items[0].item
    assert far.items[1].item.text == "a red door"


async def test_a_score_is_explained_by_the_numbers_that_it_is_made_of(memory: Memory) -> None:
    await memory.remember("red boats sail", importance=1.0)
    await memory.remember_conversation([Turn("ann", "red boats"), Turn("bot", "which?")], id="c")
    for recency in (0.0, 1.0):
        found = (await memory.recall("red boats", recency=recency)).items
        whys = {each.item.text: each.why for each in found if not each.neighbour}
        fact, turn = whys["red boats sail"], whys["red boats"]
        assert (turn.episode > 0, fact.episode, fact.dense) == (True, 0, None)
        assert fact.importance == pytest.approx(1.05)
        assert turn.importance == pytest.approx(1.025)
        assert (fact.recency > 1, turn.recency > 1) == (recency > 0, recency > 0)
        for each in found:
            why = each.why
            product = why.relevance * why.importance * why.recency * why.scale
            assert each.score == pytest.approx(product)


async def test_an_agent_may_give_what_it_recalled_as_its_output(memory: Memory) -> None:
    await fill(memory)
    output = to_jsonable_python(await memory.recall("red boats"))
    assert output["items"][0]["item"]["text"] == "red boats sail"
    assert output["items"][0]["why"]["relevance"] == 1.0


@pytest.mark.parametrize("query", ["", "?!", " \n", "\ud800", "the of and"])
async def test_a_question_without_a_word_that_counts_finds_nothing(
    memory: Memory, query: str
) -> None:
    await fill(memory)
    assert (await memory.recall(query)).items == ()


async def test_no_kind_is_no_answer(memory: Memory) -> None:
    await fill(memory)
    assert (await memory.recall("red boats", kinds=[])).items == ()
    assert len((await memory.recall("red boats", kinds="fact")).items) == 4


@pytest.mark.parametrize("embedder", [None, WordEmbedder()], ids=["words", "meaning"])
async def test_what_is_said_again_and_again_hides_nothing(
    tmp_path: Path, embedder: WordEmbedder | None
) -> None:
    async with Memory(tmp_path / "memory", embedder=embedder) as memory:
        same = "Is your invoice import slow?"
        await memory.remember_many(
            NewItem(same, kind="message", scope=Scope(thread=f"{number}")) for number in range(230)
        )
        for name in ("Bo", "Cy", "Di"):
            await memory.remember(f"{name} repaired the slow thing about invoices on a long day")
        found = (await memory.recall("slow invoice import", neighbours=0)).items
    assert (found[0].item.text, found[0].seen) == (same, 230)
    assert sorted(each.item.text.split()[0] for each in found[1:]) == ["Bo", "Cy", "Di"]


async def test_a_conversation_is_found_by_subject_and_time_however_many_there_are(
    memory: Memory,
) -> None:
    for number in range(90):
        turns = [Turn("ann", f"Invoice import {number} is slow, v{number}.", 1000.0 + number)]
        await memory.remember_conversation(turns, id=f"c{number}", subject=f"ACC-{number}")
    long = [
        Turn("bo", f"{word} of slow invoice imports", 500.0) for word in ("talk", "more", "end")
    ]
    await memory.remember_conversation(long, id="long", subject="ACC-99")
    ask = partial(memory.recall, "slow invoice import", kinds=["episode"])
    assert [each.item.subject for each in (await ask(subject="ACC-99")).items] == ["ACC-99"]
    late = {each.item.subject for each in (await ask(since=1085.0)).items}
    assert late == {f"ACC-{number}" for number in range(85, 90)}
    before = (await ask(until=600.0)).items
    assert [each.item.subject for each in before] == ["ACC-99"]
