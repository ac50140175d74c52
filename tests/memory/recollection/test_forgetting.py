"""Forgetting: exactly what was named is gone, to the last byte when that is asked for."""

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from stretto.errors import MemoryFault
from stretto.memory.item import Scope, Source
from stretto.memory.recollection import Memory, RunMemory, Turn
from tests.fakes.embedders import WordEmbedder
from tests.fakes.qdrant_server import qdrant_server

TALK = [Turn("ann", f"word{number} of the talk", float(number)) for number in range(5)]


async def texts(memory: Memory) -> list[str]:
    lines = [line async for line in memory.export()]
    return sorted(line["text"] for line in lines if line["kind"] != "episode")


def files_that_say(folder: Path, words: list[str]) -> list[tuple[str, str]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(str(p), word) for p in files for word in words if word.encode() in p.read_bytes()]


async def test_nothing_named_forgets_nothing_in_a_view_either(memory: Memory) -> None:
    view = memory.within(Scope(tenant="a"))
    await view.remember("something")
    for purge in (False, True):
        with pytest.raises(MemoryFault, match="say what to forget"):
            await view.forget(purge=purge)
    assert (await view.forget(ids=[])).count == 0
    assert (await memory.stats()).items == 1
    assert (await view.forget(scope=view.scope)).count == 1


async def test_a_purge_leaves_no_byte(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    async with Memory(folder, embedder=WordEmbedder()) as memory:
        fact = await memory.remember(
            "Geheimnis äöü\nsecond line", data={"pin": "datasecret"}, subject="subjectsecret"
        )
        await memory.remember("this stays, and so does word3 of the talk")
        await memory.remember_conversation(TALK, id="c")
        await memory.remember_run(RunMemory("r1", "w", {}, {"step": "outputsecret"}, "endsecret"))
        hits = (await memory.recall("word1", k=1, neighbours=0)).items
        ids = [fact.id, *(hit.item.id for hit in hits)]
        assert (await memory.forget(ids=ids, purge=True)).purged
        assert (await memory.forget(run="r1", purge=True)).count == 2
        secrets = ["Geheimnis", "äöü", "datasecret", "subjectsecret", "word1", "outputsecret"]
        assert files_that_say(folder, [*secrets, "endsecret"]) == []
        assert (await memory.forget(subject="nobody", purge=True)).count == 0
        assert len((await memory.recall("word3 talk")).items) == 5
    assert files_that_say(folder, secrets) == []


async def test_what_somebody_else_remembers_too_is_left_to_them(memory: Memory) -> None:
    for tenant in ("a", "b"):
        await memory.remember("the sky is blue", scope=Scope(tenant=tenant))
    receipt = await memory.forget(scope=Scope(tenant="a"), purge=True)
    assert (receipt.count, receipt.purged) == (1, True)
    assert await texts(memory) == ["the sky is blue"]


async def test_a_receipt_tells_how_much_and_not_what(memory: Memory, tmp_path: Path) -> None:
    await memory.remember("ann is ill", subject="ann")
    receipt = await memory.forget(subject="ann")
    [path] = (tmp_path / "memory" / "receipts").iterdir()
    assert json.loads(path.read_text()) == receipt.to_dict()
    assert receipt.count == 1
    assert "ann" not in path.read_text()


async def test_a_purge_on_a_server_does_not_vouch_for_its_files(tmp_path: Path) -> None:
    with qdrant_server() as server:
        async with Memory(tmp_path / "memory", url=server.url) as memory:
            await memory.remember("a secret", subject="s")
            await memory.forget(subject="nobody")
            receipt = await memory.forget(subject="s", purge=True)
            assert (receipt.count, receipt.purged) == (1, False)


async def test_a_purge_on_a_server_costs_other_processes_nothing(tmp_path: Path) -> None:
    with qdrant_server() as server:
        memories = [Memory(tmp_path / f"{n}", url=server.url) for n in range(2)]
        one, other = memories
        for number in range(300):
            await one.remember(f"kept {number}", subject=f"s{number % 3}")
        assert (await other.stats()).items == 300

        async def said(number: int) -> str:
            return (await other.remember(f"meanwhile {number}")).id

        saying = asyncio.gather(*(said(number) for number in range(40)))
        await one.forget(subject="s0", purge=True)
        ids = await saying
        await other.forget(subject="s1", purge=True)
        assert (await one.stats()).items == (await other.stats()).items == 140
        assert all([await one.get(id) for id in ids])
        for memory in memories:
            await memory.close()


async def test_a_conversation_keeps_the_turns_of_other_runs(memory: Memory) -> None:
    for run in ("r1", "r2"):
        turn = Turn("ann", f"said in {run}")
        source = Source(run_id=run)
        await memory.remember_conversation([turn], id="c", source=source, subject=f"of {run}")
    assert (await memory.forget(run="r1")).count == 1
    assert await texts(memory) == ["said in r2"]
    episode = [line async for line in memory.export() if line["kind"] == "episode"]
    assert [(each["text"], each["source"]) for each in episode] == [
        ("ann: said in r2", {"run_id": "r2"})
    ]
    assert (await memory.forget(subject="of r2")).count == 2
    assert (await memory.stats()).items == 0


async def test_an_episode_goes_with_its_turns(memory: Memory) -> None:
    episode = await memory.remember_conversation(TALK, id="c")
    assert (await memory.forget(ids=[episode.id])).count == 6
    assert (await memory.stats()).items == 0


async def test_what_comes_after_a_forgotten_turn_takes_nobodys_place(memory: Memory) -> None:
    await memory.remember_conversation(TALK, id="c")
    [hit] = (await memory.recall("word1", k=1, neighbours=0)).items
    await memory.forget(ids=[hit.item.id])
    await memory.remember_conversation([Turn("ann", "something new")], id="c")
    kept = [turn.text for turn in TALK if turn.text != hit.item.text]
    assert await texts(memory) == ["something new", *kept]


async def test_a_forgotten_turn_stays_forgotten_when_all_is_told_again(memory: Memory) -> None:
    await memory.remember_conversation(TALK, id="c")
    [hit] = (await memory.recall("word1", k=1, neighbours=0)).items
    await memory.forget(ids=[hit.item.id])
    more = [*TALK, Turn("ann", "something new")]
    assert (await memory.remember_conversation(more, id="c")).added == 1
    assert hit.item.text not in await texts(memory)
    assert len(await texts(memory)) == 5


async def test_the_last_turn_stays_forgotten_too_when_all_is_told_again(memory: Memory) -> None:
    await memory.remember_conversation(TALK, id="c")
    [hit] = (await memory.recall("word4", k=1, neighbours=0)).items
    await memory.forget(ids=[hit.item.id])
    assert (await memory.remember_conversation(TALK, id="c")).added == 0
    more = [*TALK, Turn("ann", "something new")]
    assert [(await memory.remember_conversation(more, id="c")).added for _ in range(2)] == [1, 0]
    assert hit.item.text not in await texts(memory)


async def test_a_forgotten_message_stays_so_when_some_are_told_again(memory: Memory) -> None:
    talk = [Turn("ann", f"word{n} of the talk", message_id=f"m{n}") for n in range(5)]
    await memory.remember_conversation(talk[:4], id="c")
    for word in ("word1", "word2"):
        [hit] = (await memory.recall(word, k=1, neighbours=0)).items
        await memory.forget(ids=[hit.item.id])
    assert (await memory.remember_conversation(talk[1:], id="c")).added == 1
    assert await texts(memory) == [f"word{n} of the talk" for n in (0, 3, 4)]


async def test_a_long_conversation_grows_on_after_some_of_it_was_forgotten(
    memory: Memory,
) -> None:
    talk = [Turn("ann", f"word{n} of the talk", message_id=f"m{n}") for n in range(160)]
    await memory.remember_conversation(talk[:120], id="c")
    gone = ["word7 of the talk", "word119 of the talk"]
    lines = [line async for line in memory.export()]
    await memory.forget(ids=[line["id"] for line in lines if line["text"] in gone])
    for size in (121, 122, 160):
        told = talk[size - 40 : size]
        await memory.remember_conversation(told, id="c")
    left = [line async for line in memory.export()]
    kept = sorted(turn.text for turn in talk if turn.text not in gone)
    assert sorted(line["text"] for line in left if line["kind"] == "message") == kept
    [episode] = [line for line in left if line["kind"] == "episode"]
    assert (episode["data"]["turns"], episode["data"]["next"]) == (158, 160)
    places = {line["text"]: line["position"] for line in left if line["kind"] == "message"}
    assert (places["word118 of the talk"], places["word120 of the talk"]) == (118, 120)


async def test_the_words_of_a_forgotten_output_do_not_find_its_run(memory: Memory) -> None:
    outputs = {"a": "a marmalade", "b": "some honey"}
    await memory.remember_run(RunMemory("r1", "bake", {}, outputs, "done"))
    [hit] = (await memory.recall("marmalade")).items
    await memory.forget(ids=[hit.item.id])
    asked = [await memory.recall(word, kinds=["episode"]) for word in ("marmalade", "honey")]
    assert [len(found.items) for found in asked] == [0, 1]


async def test_the_episode_counts_when_its_last_turn_goes(memory: Memory) -> None:
    await memory.remember_conversation(TALK, id="c")
    lines = [line async for line in memory.export()]
    turns = [line["id"] for line in lines if line["kind"] == "message"]
    assert (await memory.forget(ids=turns)).count == 6
    assert (await memory.stats()).items == 0


class Waiting(WordEmbedder):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.may.set()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        assert self.may.wait(60)
        return super().embed(texts)


async def test_what_breaks_off_halfway_leaves_nothing_of_a_forgotten_turn(tmp_path: Path) -> None:
    embedder = Waiting()
    async with Memory(tmp_path / "memory", embedder=embedder) as memory:
        await memory.remember_conversation(TALK, id="c")
        lines = [line async for line in memory.export()]
        [turn] = [line["id"] for line in lines if line["text"] == "word1 of the talk"]
        embedder.may.clear()
        forgetting = asyncio.create_task(memory.forget(ids=[turn]))
        try:
            while await memory.get(turn) is not None:
                await asyncio.sleep(0)
            forgetting.cancel()
            await asyncio.wait([forgetting])
        finally:
            embedder.may.set()
        left = [line["text"] async for line in memory.export()]
        assert len(left) == 5
        assert not [text for text in left if "word1" in text]
        await memory.sweep()
        assert (await memory.stats()).dense_pending == 0


async def test_each_forgetting_has_a_receipt_of_its_own(memory: Memory, tmp_path: Path) -> None:
    await asyncio.gather(*(memory.forget(subject=f"nobody {n}") for n in range(20)))
    assert len([*(tmp_path / "memory" / "receipts").iterdir()]) == 20


@pytest.mark.parametrize(("subject", "run"), [("", "r1"), ("ann", " ")])
async def test_a_blank_name_does_not_widen_what_is_forgotten(
    memory: Memory, subject: str, run: str
) -> None:
    await memory.remember("one", subject="ann", source=Source(run_id="r1"))
    with pytest.raises(MemoryFault, match="leave it out"):
        await memory.forget(subject=subject, run=run)
    assert (await memory.stats()).items == 1


async def test_a_purge_leaves_what_something_else_says_too(memory: Memory) -> None:
    item = await memory.remember('Call "Ann" about the renewal')
    await memory.store.aput(("drafts",), "k", {"body": ['Call "Ann" about the renewal']})
    named = [await memory.remember(text) for text in ("account-17", "content_hash", "english")]
    await memory.remember("another one", subject="account-17")
    receipt = await memory.forget(ids=[item.id, *(each.id for each in named)], purge=True)
    assert (receipt.count, receipt.purged) == (4, True)
    assert await memory.store.aget(("drafts",), "k") is not None


async def test_a_purge_that_finds_a_text_elsewhere_harms_nothing_and_has_its_receipt(
    memory: Memory, tmp_path: Path
) -> None:
    item = await memory.remember("a secret that somebody copied")
    folder = tmp_path / "memory"
    (folder / "notes.txt").write_text("a secret that somebody copied")
    with pytest.raises(MemoryFault, match=r"still stands in .*notes\.txt; .* import it into a new"):
        await memory.forget(ids=[item.id], purge=True)
    [receipt] = [json.loads(path.read_text()) for path in (folder / "receipts").iterdir()]
    assert (receipt["count"], receipt["purged"]) == (1, False)
    assert await texts(memory) == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_forgotten_messages_stay_forgotten_when_nothing_is_left(
    memory: Memory, at_once: bool
) -> None:
    turns = [Turn("ann", f"pin {number}", message_id=f"m{number}") for number in range(2)]
    await memory.remember_conversation(turns, id="c", subject="ann")
    ids = [line["id"] async for line in memory.export() if line["kind"] == "message"]
    for some in [ids] if at_once else [[id] for id in ids]:
        await memory.forget(ids=some, purge=True)
    assert (await memory.remember_conversation(turns, id="c")).added == 0
    assert "ann" not in json.dumps([line async for line in memory.export()])
    assert (await memory.recall("pin", kinds=["message", "episode"])).items == ()
    turns.append(Turn("ann", "another pin", message_id="m2"))
    told = await memory.remember_conversation(turns, id="c", subject="ann")
    assert (told.added, told.size) == (1, 1)
    assert await texts(memory) == ["another pin"]
    assert (await memory.forget(ids=[told.id])).count == 2
    assert (await memory.remember_conversation(turns, id="c")).added == 3
