"""Summaries: of what is remembered, for whoever may see it, and gone with what they say."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from stretto.memory.item import Scope
from stretto.memory.recollection import Memory, NewItem, RunMemory, Turn

ANN, BOB = Scope(user="ann", thread="1"), Scope(user="bob", thread="1")


async def joined(texts: Sequence[str]) -> str:
    return " / ".join(texts)


async def talk(memory: Memory, *words: str, scope: Scope = ANN) -> list[str]:
    """Remember conversations of two turns, and give their ids."""
    return [
        (
            await memory.remember_conversation(
                [Turn("ann", f"{word} please", at), Turn("bot", f"no {word} today", at)],
                id=word,
                scope=scope,
            )
        ).id
        for at, word in enumerate(words, start=1)
    ]


async def summaries(memory: Memory) -> list[str]:
    found = await memory.recall("tea milk cake pie please", kinds=["summary"], k=50)
    return sorted(each.item.text for each in found.items)


async def test_old_episodes_of_one_owner_are_summed_up_in_their_order(memory: Memory) -> None:
    await talk(memory, "tea", "cake")
    await talk(memory, "pie", scope=BOB)
    done = await memory.consolidate(joined)
    assert [(item.text, item.scope) for item in done.summaries] == [
        (
            "ann: tea please\nbot: no tea today / ann: cake please\nbot: no cake today",
            Scope(user="ann"),
        )
    ]
    assert (await memory.consolidate(joined)).summaries == ()


async def test_episodes_that_are_young_are_left_alone(memory: Memory) -> None:
    for word in ("tea", "cake"):
        await memory.remember_conversation([Turn("ann", word)], id=word)
    assert (await memory.consolidate(joined, older_than=3600)).summaries == ()


async def test_a_new_summary_takes_the_place_of_one_of_fewer_episodes(memory: Memory) -> None:
    await talk(memory, "tea", "cake")
    [first] = (await memory.consolidate(joined)).summaries
    await talk(memory, "tea", "cake", "pie")
    [second] = (await memory.consolidate(joined)).summaries
    assert await summaries(memory) == [second.text]
    held = await memory.get(first.id)
    assert held is not None
    assert (held.superseded_by, held.valid_to) == (second.id, second.created_at)


@pytest.mark.parametrize("what", ["turn", "conversation", "user", "output"])
async def test_a_summary_is_forgotten_with_any_part_of_what_it_says(
    memory: Memory, tmp_path: Path, what: str
) -> None:
    ids = await talk(memory, "tea", "cake")
    run = RunMemory("r1", "bake", {}, {"oven": "a tray of milk rolls"}, at=3.0)
    await memory.remember_run(run, scope=Scope(user="ann"))
    await memory.consolidate(joined)
    await talk(memory, "pie", "milk", scope=BOB)
    await memory.consolidate(joined)
    assert len(await summaries(memory)) == 2
    lines = [line async for line in memory.export()]
    [part] = [line["id"] for line in lines if "milk rolls" in line["text"] and "position" in line]
    turn = next(line["id"] for line in lines if line["text"] == "no tea today")
    named = {"turn": [turn], "conversation": [ids[0]], "output": [part]}.get(what)
    scope = Scope(user="ann") if what == "user" else None
    receipt = await memory.forget(ids=named, scope=scope, purge=True)
    assert receipt.derived == (0 if what == "user" else 1)
    assert receipt.count == {"turn": 2, "conversation": 4, "output": 2, "user": 9}[what]
    [left] = await summaries(memory)
    assert "pie" in left
    gone = b"a tray of milk rolls" if what == "output" else b"no tea today"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if gone in path.read_bytes()] == []


async def test_a_view_makes_no_summary_that_others_see(memory: Memory) -> None:
    view = memory.within(ANN)
    await talk(view, "tea", "cake")
    await talk(memory, "pie", scope=Scope(user="ann", thread="2"))
    [made] = (await view.consolidate(joined)).summaries
    assert made.scope == ANN
    assert await summaries(memory.within(Scope(user="ann", thread="2"))) == []


async def test_nothing_is_summed_up_that_was_forgotten_while_the_model_was_at_work(
    memory: Memory,
) -> None:
    ids = await talk(memory, "tea", "cake")

    async def slow(texts: Sequence[str]) -> str:
        await memory.forget(ids=[ids[0]])
        return await joined(texts)

    assert (await memory.consolidate(slow)).summaries == ()
    assert await summaries(memory) == []


async def test_a_copied_summary_is_forgotten_with_the_copy_of_what_it_says(
    memory: Memory,
) -> None:
    await talk(memory, "tea", "cake", scope=Scope())
    await memory.consolidate(joined)
    copy = memory.within(Scope(tenant="other"))
    await copy.import_([line async for line in memory.export()])
    lines = [line async for line in copy.export()]
    turn = next(line["id"] for line in lines if line["text"] == "no tea today")
    assert (await copy.forget(ids=[turn])).derived == 1
    assert await summaries(copy) == []
    assert len(await summaries(memory)) == 1


async def test_facts_about_the_same_are_compared_and_others_are_not(memory: Memory) -> None:
    asked: list[tuple[str, str]] = []

    async def differ(older: str, newer: str) -> bool:
        asked.append((older, newer))
        return "oslo" in newer

    facts = [
        ("she lives in rome", "ann"),
        ("she lives in oslo", "ann"),
        ("she lives in bern", "eve"),
    ]
    await memory.remember_many(
        NewItem(text, subject=subject, at=float(at)) for at, (text, subject) in enumerate(facts)
    )
    done = await memory.consolidate(contradict=differ)
    assert asked == [("she lives in rome", "she lives in oslo")]
    assert [[fact.text for fact in pair] for pair in done.contradictions] == [[*asked[0]]]
    await memory.supersede(done.contradictions[0][0].id, "she lived in rome")
    assert done.summaries == ()
