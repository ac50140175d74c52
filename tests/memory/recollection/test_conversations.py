"""Conversations: the same turns give the same memory, however they come in."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from stretto.errors import MemoryFault
from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.types import Filter, Match, Record
from stretto.memory.recollection import Memory, RunMemory, Turn
from tests.fakes.embedders import WordEmbedder

TALK = [
    Turn("ann", "I moved to Bergen last week", 1000.0),
    Turn("bot", "How is the weather there?", 1010.0),
    Turn("ann", "It rains every day, so I bought boots", 1020.0),
    Turn("bot", "Which colour?", 1030.0),
    Turn("ann", "Yellow ones", 1040.0),
]


async def stored(folder: Path) -> dict[str, Any]:
    """Give the vectors of everything in a folder, by what it says."""
    backend = EdgeBackend(folder)
    try:
        query = backend.scroll(Filter((Match("stretto", "item"),)), 1000, with_vectors=True)
        records, _ = await asyncio.wrap_future(query)
        return {record.payload["text"]: shape(record) for record in records}
    finally:
        await asyncio.to_thread(backend.close)


def shape(record: Record) -> Any:
    assert record.vectors is not None
    lex, episode, dense = record.vectors
    sparse = [None if v is None else dict(zip(*v, strict=True)) for v in (lex, episode)]
    return pytest.approx(sparse[0]), pytest.approx(sparse[1]), pytest.approx(dense)


def plain(shapes: dict[str, Any]) -> dict[str, Any]:
    return {text: tuple(part.expected for part in parts) for text, parts in shapes.items()}


@pytest.mark.parametrize("parts", [(5,), (1, 4), (2, 1, 2), (1, 1, 1, 1, 1)])
async def test_turns_have_the_same_vectors_however_they_come(
    tmp_path: Path, parts: tuple[int, ...]
) -> None:
    for name, sizes in (("whole", (5,)), ("parts", parts)):
        async with Memory(tmp_path / name, embedder=WordEmbedder()) as memory:
            start = 0
            for size in sizes:
                await memory.remember_conversation(TALK[start : start + size], id="c")
                start += size
    assert plain(await stored(tmp_path / "parts")) == await stored(tmp_path / "whole")


async def test_a_forgotten_turn_leaves_no_trace_in_its_neighbours(tmp_path: Path) -> None:
    for name, turns in (("without", [TALK[0], *TALK[2:]]), ("forgotten", TALK)):
        async with Memory(tmp_path / name, embedder=WordEmbedder()) as memory:
            await memory.remember_conversation(turns, id="c")
            if name == "forgotten":
                [hit] = (await memory.recall("weather", k=1, neighbours=0)).items
                assert (await memory.forget(ids=[hit.item.id])).count == 1
    assert plain(await stored(tmp_path / "forgotten")) == await stored(tmp_path / "without")


async def test_a_conversation_is_remembered_once(memory: Memory) -> None:
    first = await memory.remember_conversation(TALK[:3], id="c")
    again = await memory.remember_conversation(TALK, id="c")
    assert (first.added, again.added, again.size) == (3, 2, 5)
    assert (await memory.remember_conversation(TALK, id="c")).added == 0
    assert (await memory.remember_conversation(TALK, id="other")).added == 5


async def test_turns_with_ids_are_known_by_them(memory: Memory) -> None:
    turns = [HumanMessage("Hello there", id="m1"), AIMessage("Good day", id="m2")]
    assert (await memory.remember_conversation(turns, id="c")).added == 2
    more = [turns[1], {"role": "user", "content": "Hello there", "id": "m3"}]
    assert (await memory.remember_conversation(more, id="c")).added == 1


async def test_a_turn_that_comes_twice_in_one_call_is_added_once(memory: Memory) -> None:
    turns = [Turn("ann", "one", message_id="m1")] * 2
    assert (await memory.remember_conversation(turns, id="c")).size == 1
    more = [*turns, Turn("ann", "two")]
    assert (await memory.remember_conversation(more, id="c")).size == 2
    assert (await memory.remember_conversation(turns[:1], id="c")).added == 0


async def test_turns_with_and_without_ids_are_known_again(memory: Memory) -> None:
    turns = [Turn("ann", "one", message_id="m1"), Turn("bot", "two")]
    await memory.remember_conversation(turns, id="c")
    again = await memory.remember_conversation([*turns, Turn("ann", "three")], id="c")
    assert (again.added, again.size) == (1, 3)


async def test_a_message_without_an_id_has_an_empty_one_too(memory: Memory) -> None:
    turns = [{"author": "ann", "text": text, "id": ""} for text in ("one", "two")]
    assert (await memory.remember_conversation(turns, id="c")).added == 2


async def test_a_turn_that_cannot_be_remembered_is_named(memory: Memory) -> None:
    with pytest.raises(MemoryFault, match="turn 2 of 3: there is no text") as refused:
        await memory.remember_conversation([TALK[0], Turn("bot", " "), TALK[1]], id="c")
    assert refused.value.code == "item_invalid"
    assert (await memory.stats()).kinds == {}


async def test_the_id_of_a_message_is_nobodys_place(memory: Memory) -> None:
    turns = [Turn("ann", "one"), Turn("bot", "two", message_id="#0"), Turn("x", "3", None, "1")]
    await memory.remember_conversation(turns, id="c")
    assert (await memory.stats()).kinds == {"message": 3, "episode": 1}


async def test_a_long_conversation_grows_as_if_all_of_it_were_read(tmp_path: Path) -> None:
    talk = [Turn(f"p{n % 2}", f"word{n} is said here", float(n)) for n in range(230)]
    named = [replace(turn, message_id=f"m{n}") for n, turn in enumerate(talk)]
    sizes = (120, 3, 1, 1, 40, 7, 30, 28)
    async with Memory(tmp_path / "parts") as memory:
        for turns, name in ((talk, "plain"), (named, "named")):
            start = 0
            for size in sizes:
                told = turns[start : start + size] if size != 7 else turns[: start + size]
                done = await memory.remember_conversation(told, id=name)
                start += size
                assert (done.added, done.size) == (size, start)
        assert (await memory.remember_conversation(named[200:], id="named")).added == 0
    async with Memory(tmp_path / "whole") as memory:
        for turns, name in ((talk, "plain"), (named, "named")):
            await memory.remember_conversation(turns, id=name)
    assert plain(await stored(tmp_path / "parts")) == await stored(tmp_path / "whole")


async def test_messages_that_only_call_tools_are_left_out(memory: Memory) -> None:
    call = AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}])
    talk = [HumanMessage("Hi"), call, AIMessage([{"type": "text", "text": "It rains"}])]
    assert (await memory.remember_conversation(talk, id="c")).added == 2
    assert (await memory.remember_conversation(talk, id="c")).added == 0


async def test_a_pinned_conversation_stays_pinned_when_it_grows(memory: Memory) -> None:
    episode = await memory.remember_conversation(TALK[:2], id="c")
    await memory.pin(episode.id)
    await memory.remember_conversation(TALK, id="c")
    held = await memory.get(episode.id)
    assert held is not None
    assert (held.pinned, held.data) == (True, {"turns": 5})


async def test_several_that_add_to_a_conversation_lose_nothing(memory: Memory) -> None:
    talks = [[Turn("ann", f"thing {n}", message_id=f"m{n}")] for n in range(20)]
    await asyncio.gather(*(memory.remember_conversation(t, id="c") for t in talks))
    lines = [line async for line in memory.export()]
    assert sorted(line["position"] for line in lines if "position" in line) == [*range(20)]


async def test_neighbours_come_with_a_hit_and_in_order_of_time(memory: Memory) -> None:
    await memory.remember_conversation(TALK, id="c")
    found = await memory.recall("boots", k=1, neighbours=1)
    assert [each.neighbour for each in found.items] == [False, True, True]
    assert [line.split("] ")[1] for line in found.text().splitlines()] == [
        "bot: How is the weather there?",
        "ann: It rains every day, so I bought boots",
        "bot: Which colour?",
    ]


@pytest.mark.parametrize("budget", [1, 15, 25, 40, 1000])
async def test_a_budget_is_never_passed(memory: Memory, budget: int) -> None:
    await memory.remember_conversation(TALK, id="c")
    found = await memory.recall("boots bergen colour", budget_tokens=budget)
    assert len(found.text()) / 4 <= found.tokens <= budget


async def test_a_run_that_failed_again_has_the_outputs_of_both(memory: Memory) -> None:
    outputs = {"a": "a leak"}
    for more in ({}, {"b": "a puddle"}):
        run = RunMemory("r1", "look", {}, outputs | more, None, "failed")
        assert (await memory.remember_run(run)).added == 1 + len(more)
    assert len((await memory.recall("leak puddle", kinds=["artifact"])).items) == 2


async def test_a_run_is_remembered_as_it_ended(memory: Memory) -> None:
    run = RunMemory("r1", "analysis", {"id": 1}, {"a": "Found a leak", "b": None, "c": 3}, "Leak")
    failed = RunMemory("r1", "analysis", {"id": 1}, {"a": "Nothing"}, None, "failed")
    assert (await memory.remember_run(failed)).added == 1
    assert [(await memory.remember_run(run)).added for _ in range(2)] == [1, 0]
    assert "failed" not in (await memory.recall("analysis leak nothing")).text()
    assert (await memory.forget(run="r1")).count == 2
    assert (await memory.stats()).items == 0


async def test_a_run_that_ended_alike_with_other_outputs_has_those(memory: Memory) -> None:
    first = RunMemory("r1", "look", {"id": 1}, {"a": "an apple", "b": "a boat"}, "done")
    second = replace(first, outputs={"a": "an apple", "b": "a banana"})
    await memory.remember_run(first)
    assert [(await memory.remember_run(second)).added for _ in range(2)] == [2, 0]
    found = (await memory.recall("apple boat banana", kinds=["artifact"])).items
    assert sorted(each.item.text for each in found) == ["a banana", "an apple"]


async def test_an_output_that_was_forgotten_stays_so_when_its_run_is_told_again(
    memory: Memory,
) -> None:
    run = RunMemory("r1", "look", {}, {"a": "an apple", "b": "a boat"}, "done")
    await memory.remember_run(run)
    [hit] = (await memory.recall("boat", kinds=["artifact"])).items
    await memory.forget(ids=[hit.item.id])
    assert (await memory.remember_run(run)).added == 0
    assert (await memory.recall("boat")).items == ()


async def test_what_is_pinned_of_a_run_stays_pinned_when_it_is_tried_again(memory: Memory) -> None:
    failed = RunMemory("r1", "look", {}, {"a": "an apple", "b": "a boat"}, None, "failed")
    run = await memory.remember_run(failed)
    [hit] = (await memory.recall("boat", kinds=["artifact"])).items
    for id in (run.id, hit.item.id):
        await memory.pin(id)
    await memory.remember_run(replace(failed, outputs={"b": "a banana"}, status="completed"))
    found = (await memory.recall("look apple boat banana")).items
    assert {each.item.text: each.item.pinned for each in found} == {
        "Run of look: completed.": True,
        "a banana": True,
    }


@pytest.mark.parametrize("turn", ["hello", {"author": "ann"}, {"text": 3, "author": "ann"}, None])
async def test_what_is_no_turn_is_refused(memory: Memory, turn: Any) -> None:
    with pytest.raises(MemoryFault, match="a turn has an author and a text") as fault:
        await memory.remember_conversation([turn])
    assert fault.value.code == "item_invalid"
