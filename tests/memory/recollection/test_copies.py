"""Copies: what is exported comes back exactly as it was, or not at all."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.errors import MemoryFault
from stretto.memory.item import Kind, Scope
from stretto.memory.recollection import Memory, RunMemory, Turn

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.strip)
TIMES = st.floats(-1e9, 4e9).map(lambda value: round(value, 6))
IDS = st.uuids().map(str)
PLAIN: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(-1e300, 1e300), WORDS
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
LINES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "id": IDS,
        "text": WORDS,
        "created_at": TIMES,
        "updated_at": TIMES,
        "kind": st.sampled_from([*Kind]),
        "data": st.dictionaries(WORDS, VALUES, max_size=3),
        "scope": st.fixed_dictionaries({}, optional={"tenant": WORDS, "thread": WORDS}),
        "source": st.fixed_dictionaries({}, optional={"run_id": WORDS, "author": WORDS}),
        "importance": st.floats(0, 1).map(lambda value: round(value, 6)),
        "pinned": st.booleans(),
        "seen_count": st.integers(1, 10**6),
    },
    optional={
        "key": WORDS,
        "subject": WORDS,
        "valid_from": TIMES,
        "valid_to": TIMES,
        "expires_at": TIMES,
        "supersedes": IDS,
        "superseded_by": IDS,
        "said_again": st.lists(TIMES, min_size=1, max_size=3, unique=True).map(sorted),
        "episode_id": IDS,
        "position": st.integers(0, 10**6),
    },
)


def alone(line: dict[str, Any]) -> dict[str, Any]:
    """Give a message as one of its own: a turn brings what stands for its conversation."""
    whole = line["kind"] != "message"
    return {**line} if whole else {n: value for n, value in line.items() if n != "episode_id"}


def place(line: dict[str, Any]) -> str:
    """Give what no other line of a copy has, since one fact of a key holds at a time."""
    scope = sorted(line["scope"].items())
    return repr((scope, line.get("subject"), line["key"])) if "key" in line else line["id"]


SLOW = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
TALK = [Turn("ann", "my boots are yellow", 5.0), Turn("bot", "nice", 6.0), Turn("ann", "yes", 7.0)]


def by_id(line: dict[str, Any]) -> str:
    return str(line["id"])


async def copied(memory: Memory) -> list[dict[str, Any]]:
    return sorted([line async for line in memory.export()], key=by_id)


@SLOW
@given(st.lists(LINES.map(alone), max_size=6, unique_by=(by_id, place)))
def test_a_copy_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]
) -> None:
    async def play(folder: Path) -> None:
        async with Memory(folder) as memory:
            assert await memory.import_(lines) == len(lines)
            assert await copied(memory) == sorted(lines, key=by_id)
            assert await memory.import_(json.dumps(line) for line in lines) == 0
            assert await copied(memory) == sorted(lines, key=by_id)

    asyncio.run(play(tmp_path_factory.mktemp("memory") / "memory"))


async def test_everything_that_is_remembered_can_move(memory: Memory, tmp_path: Path) -> None:
    await memory.remember("oslo", key="town", at=1.0)
    await memory.remember("bergen", key="town", at=2.0, data={"a": [1, None]}, ttl=1e6)
    episode = await memory.remember_conversation(TALK, id="c")
    await memory.pin(episode.id)
    await memory.remember_run(RunMemory("r", "w", {"a": 1}, {"step": "done"}, "ok"))
    named = [Turn("ann", f"turn {n}", 5.0, f"m{n}") for n in range(3)]
    await memory.remember_conversation(named, id="d")
    [last] = [line["id"] for line in await copied(memory) if line["text"] == "turn 2"]
    await memory.forget(ids=[last])

    async def join(texts: Sequence[str]) -> str:
        return "all of it"

    await memory.consolidate(join, older_than=0)
    lines = await copied(memory)
    async with Memory(tmp_path / "other") as other:
        assert await other.import_(lines) == len(lines) == 12
        assert await copied(other) == lines
        [hit, *_] = (await other.recall("boots")).items
        assert hit.item.text == "my boots are yellow"
        assert (await other.remember_conversation(TALK, id="c")).added == 0
        assert (await other.remember_conversation(named, id="d")).added == 0
        assert (await other.forget(ids=[episode.id])).derived == 1


async def test_one_tenants_copy_gives_another_one_items_of_its_own(memory: Memory) -> None:
    ours, theirs = memory.within(Scope(tenant="a")), memory.within(Scope(tenant="b"))
    await ours.remember("oslo", key="town", at=1.0)
    await ours.remember("bergen", key="town", at=2.0)
    await ours.remember_conversation(TALK, id="c")
    before = await copied(ours)
    assert await theirs.import_(before) == 6
    assert await theirs.import_(before) == 0
    assert await copied(ours) == before
    await theirs.forget(scope=theirs.scope)
    assert await copied(ours) == before


BASE = {"id": str(uuid.UUID(int=7)), "text": "a text", "created_at": 1.0, "updated_at": 1.0}
WRONG: list[Any] = [
    "{",
    "[]",
    3,
    None,
    {**BASE, "mood": "good"},
    {**BASE, "source": {"phone": "1"}},
    {**BASE, "scope": "acme"},
    {**BASE, "id": "nobody"},
    {**BASE, "episode_id": "nobody"},
    {**BASE, "kind": "thought"},
    {**BASE, "text": " "},
    {**BASE, "text": "half \ud800"},
    {**BASE, "importance": 5.0},
    {**BASE, "valid_from": 1e300},
    {**BASE, "created_at": True},
    {**BASE, "seen_count": 0},
    {**BASE, "position": -1},
    {**BASE, "key": ""},
    {"id": BASE["id"], "text": "a text"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
async def test_a_line_that_is_none_is_named_and_nothing_is_added(
    memory: Memory, wrong: Any
) -> None:
    right = [{**BASE, "id": str(uuid.uuid4())} for _ in range(2)]
    with pytest.raises(MemoryFault, match="line 3") as fault:
        await memory.import_([*right, wrong])
    assert fault.value.code == "item_invalid"
    assert (await memory.stats()).items == 0


async def test_a_line_that_is_there_twice_is_added_once(memory: Memory) -> None:
    assert await memory.import_([BASE, {**BASE, "text": "another text"}]) == 1
    assert [line["text"] for line in await copied(memory)] == ["a text"]
