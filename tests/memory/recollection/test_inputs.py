"""What is given wrongly: one clear refusal, and nothing is kept of it."""

import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from stretto.errors import MemoryFault
from stretto.memory.item import Scope, Source
from stretto.memory.recollection import Memory, NewItem, RunMemory, Turn

HALF = "half \ud800"
NUMBER: Any = 3
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"text": ""}, "item_invalid"),
    ({"text": " \n"}, "item_invalid"),
    ({"text": None}, "item_invalid"),
    ({"text": HALF}, "item_invalid"),
    ({"text": "x" * 65_537}, "text_too_long"),
    ({"text": "x" * 10_000_000}, "text_too_long"),
    ({"kind": "thought"}, "item_invalid"),
    ({"key": ""}, "item_invalid"),
    ({"subject": HALF}, "item_invalid"),
    ({"importance": 1.5}, "item_invalid"),
    ({"importance": True}, "item_invalid"),
    ({"importance": math.nan}, "item_invalid"),
    ({"ttl": 0}, "item_invalid"),
    ({"ttl": math.nan}, "item_invalid"),
    ({"ttl": timedelta(days=1)}, "item_invalid"),
    ({"ttl": 1e18}, "item_invalid"),
    ({"at": "2020"}, "item_invalid"),
    ({"at": math.inf}, "item_invalid"),
    ({"at": datetime.min}, "item_invalid"),
    ({"pinned": "yes"}, "item_invalid"),
    ({"data": [1]}, "item_invalid"),
    ({"data": {"a": {1}}}, "item_invalid"),
    ({"data": {"a": math.nan}}, "item_invalid"),
    ({"data": {"a": HALF}}, "item_invalid"),
    ({"source": "me"}, "item_invalid"),
    ({"source": Source(author=HALF)}, "item_invalid"),
    ({"scope": {"tenant": "a"}}, "scope_unknown"),
    ({"scope": Scope(tenant=NUMBER)}, "scope_unknown"),
    ({"supersedes": "nobody"}, "item_unknown"),
    ({"supersedes": "00000000-0000-4000-8000-000000000000"}, "item_unknown"),
]


@pytest.mark.parametrize(("wrong", "code"), WRONG)
async def test_nothing_is_kept_when_one_of_many_is_wrong(
    memory: Memory, wrong: dict[str, Any], code: str
) -> None:
    right = [NewItem(f"thing {number}") for number in range(300)]
    given: dict[str, Any] = {"text": "a text", **wrong}
    with pytest.raises(MemoryFault) as fault:
        await memory.remember_many([*right, NewItem(**given)])
    assert fault.value.code == code
    assert (await memory.stats()).items == 0


async def test_what_is_no_item_is_refused(memory: Memory) -> None:
    texts: Any = ["a text"]
    with pytest.raises(MemoryFault, match="is a NewItem, not 'a text'"):
        await memory.remember_many(texts)


async def test_the_longest_text_and_odd_characters_come_back_as_they_are(memory: Memory) -> None:
    for text in ("ab " * 21_845, "nothing \0 here", "tab\tand\r\nlines", "\U0001f600 smile"):
        item = await memory.remember(text)
        assert await memory.get(item.id) == item


async def test_data_are_given_as_they_will_be_read(memory: Memory) -> None:
    given: Any = {"pair": (1, 2), 3: "three", "big": 10**400}
    item = await memory.remember("some data", data=given, ttl=0.123456789)
    assert item.data == {"pair": [1, 2], "3": "three", "big": 10**400}
    lines = [line async for line in memory.export()]
    assert [(line["data"], line["expires_at"]) for line in lines] == [(item.data, item.expires_at)]


QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"k": 0}, "query_invalid"),
    ({"k": 2.5}, "query_invalid"),
    ({"k": "3"}, "query_invalid"),
    ({"k": 10**30}, "query_invalid"),
    ({"neighbours": -1}, "query_invalid"),
    ({"budget_tokens": math.nan}, "query_invalid"),
    ({"diversity": 2}, "query_invalid"),
    ({"diversity": "x"}, "query_invalid"),
    ({"min_score": math.nan}, "query_invalid"),
    ({"recency": -1}, "query_invalid"),
    ({"query": "x" * 65_537}, "text_too_long"),
    ({"kinds": ["thought"]}, "item_invalid"),
    ({"subject": True}, "item_invalid"),
    ({"as_of": "now"}, "item_invalid"),
    ({"scope": "acme"}, "scope_unknown"),
]


@pytest.mark.parametrize(("wrong", "code"), QUESTIONS)
async def test_a_question_that_cannot_be_meant_is_refused(
    memory: Memory, wrong: dict[str, Any], code: str
) -> None:
    given: dict[str, Any] = {"query": "hello", **wrong}
    with pytest.raises(MemoryFault) as fault:
        await memory.recall(given.pop("query"), **given)
    assert fault.value.code == code


@pytest.mark.parametrize(
    "wrong",
    [
        Turn("ann", ""),
        Turn("\ud800", "x"),
        Turn("ann", "x", None, HALF),
        Turn("ann", "x", math.nan),
    ],
    ids=["empty", "author", "id", "time"],
)
async def test_no_turn_is_kept_when_one_is_wrong(memory: Memory, wrong: Turn) -> None:
    with pytest.raises(MemoryFault) as fault:
        await memory.remember_conversation([Turn("ann", "right"), wrong], id="c")
    assert fault.value.code == "item_invalid"
    assert (await memory.stats()).items == 0


CALLS: list[Callable[[Memory], Awaitable[Any]]] = [
    lambda memory: memory.pin("nobody"),
    lambda memory: memory.supersede("nobody", "a text"),
]


@pytest.mark.parametrize("call", CALLS, ids=["pin", "supersede"])
async def test_what_is_no_id_is_nobodys(
    memory: Memory, call: Callable[[Memory], Awaitable[Any]]
) -> None:
    with pytest.raises(MemoryFault) as fault:
        await call(memory)
    assert fault.value.code == "item_unknown"
    assert await memory.get("nobody") is None
    assert (await memory.forget(ids=["nobody"])).count == 0


SEVERAL: list[tuple[str, Callable[[Memory, Any], Awaitable[Any]]]] = [
    ("items", lambda memory, given: memory.remember_many(given)),
    ("turns", lambda memory, given: memory.remember_conversation(given)),
    ("ids", lambda memory, given: memory.forget(ids=given)),
    ("kinds", lambda memory, given: memory.recall("hello", kinds=given)),
    ("lines", lambda memory, given: memory.import_(given)),
]


@pytest.mark.parametrize(("name", "call"), SEVERAL)
async def test_what_is_not_several_is_refused(
    memory: Memory, name: str, call: Callable[[Memory, Any], Awaitable[Any]]
) -> None:
    with pytest.raises(MemoryFault, match=f"{name} are several") as fault:
        await call(memory, 5)
    assert fault.value.code == "item_invalid"


RUNS: list[dict[str, Any]] = [{"run_id": HALF}, {"run_id": 5}, {"outputs": None}]


@pytest.mark.parametrize("wrong", RUNS, ids=str)
async def test_a_run_that_is_none_is_refused(memory: Memory, wrong: dict[str, Any]) -> None:
    run: dict[str, Any] = {"run_id": "r", "workflow": "w", **wrong}
    with pytest.raises(MemoryFault) as fault:
        await memory.remember_run(RunMemory(**run))
    assert fault.value.code == "item_invalid"
    assert (await memory.stats()).items == 0


async def test_one_id_is_not_taken_for_many(memory: Memory) -> None:
    item = await memory.remember("hello")
    with pytest.raises(MemoryFault, match="ids are several"):
        await memory.forget(ids=item.id)
    one: Any = 1
    with pytest.raises(MemoryFault, match="pinned is True or False"):
        await memory.pin(item.id, one)
    assert await memory.get(item.id.upper()) == item


async def test_outputs_that_json_cannot_hold_are_remembered_as_text(memory: Memory) -> None:
    circle: dict[str, Any] = {"word": "roundabout"}
    circle["self"] = circle
    run = RunMemory("r", "w", outputs={"a": circle, "b": {(1, 2): "tuple"}}, output=object())
    assert (await memory.remember_run(run)).added == 2
    assert (await memory.recall("roundabout")).items
    mapping: Any = {"run_id": "r"}
    with pytest.raises(MemoryFault, match="is a RunMemory"):
        await memory.remember_run(mapping)
