"""The store as nodes of graphs meet it: many at once, from threads and from the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NotRequired
from uuid import uuid4

import pytest
from langgraph.config import get_store
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    END,
    START,
    StateGraph,
)
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore, GetOp, Op, PutOp, SearchOp
from typing_extensions import TypedDict

from stretto import AgentRegistry, Step, Task, Workflow, agent
from stretto.errors import ConfigurationError, MemoryFault
from stretto.memory.backend.opening import open_backend
from stretto.memory.backend.types import Point
from stretto.memory.item import MemoryItem, Scope
from stretto.memory.lexical import LexicalEncoder
from stretto.memory.recollection import Memory
from stretto.memory.store import QdrantStore, open_store
from tests.memory.store.stores import Letters

NODES = 50


class Turn(TypedDict):
    word: str
    found: NotRequired[list[str]]


def graph_of(node: Any, store: BaseStore) -> Any:
    builder: Any = StateGraph(Turn)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return builder.compile(store=store)


def asked(number: int) -> list[Op]:
    return [
        PutOp(("seen", f"user-{number % 7}"), f"{number}", {"text": f"word{number} said"}),
        SearchOp(("seen",), query=f"word{number}"),
        GetOp(("seen", f"user-{number % 7}"), f"{number}"),
    ]


def check_that_nothing_is_lost(store: QdrantStore, rounds: int) -> None:
    found = store.search(("seen",), limit=NODES * rounds + 1)
    assert {item.key for item in found} == {f"{number}" for number in range(NODES * rounds)}
    assert len(store.list_namespaces()) == 7
    for number in range(NODES * rounds):
        hit = store.search(("seen",), query=f"word{number}", limit=1)[0]
        assert hit.key == f"{number}"


async def test_fifty_tasks_that_put_and_search_lose_nothing(qdrant: QdrantStore) -> None:
    async def one(number: int) -> None:
        put, found, got = await qdrant.abatch(asked(number))
        assert put is got is None
        assert isinstance(found, list)
        again = await qdrant.asearch(("seen",), query=f"word{number}", limit=1)
        assert again[0].key == f"{number}"
        assert (again[0].score or 0) > 0

    await asyncio.gather(*(one(number) for number in range(2 * NODES)))
    check_that_nothing_is_lost(qdrant, 2)


def test_fifty_threads_that_put_and_search_lose_nothing(qdrant: QdrantStore) -> None:
    def one(number: int) -> str:
        qdrant.batch(asked(number))
        return qdrant.search(("seen",), query=f"word{number}", limit=1)[0].key

    with ThreadPoolExecutor(NODES) as threads:
        assert list(threads.map(one, range(2 * NODES))) == [f"{n}" for n in range(2 * NODES)]
    check_that_nothing_is_lost(qdrant, 2)


async def test_of_many_writers_of_one_key_each_sees_whole_values(qdrant: QdrantStore) -> None:
    async def one(number: int) -> set[Any]:
        await qdrant.aput(("one",), "k", {"a": number, "b": number})
        item = await qdrant.aget(("one",), "k")
        assert item is not None
        return set(item.value.values())

    seen = await asyncio.gather(*(one(number) for number in range(NODES)))
    assert all(len(values) == 1 for values in seen)
    assert len(qdrant.search(())) == 1


def test_a_synchronous_node_reaches_the_store_by_its_runtime(qdrant: QdrantStore) -> None:
    def node(state: Turn, runtime: Runtime[Any]) -> dict[str, Any]:
        assert runtime.store is not None
        runtime.store.put(("words",), state["word"], {"text": state["word"]})
        hits = runtime.store.search(("words",), query=state["word"], limit=1)
        return {"found": [hit.key for hit in hits]}

    graph = graph_of(node, qdrant)
    assert [graph.invoke({"word": word})["found"] for word in ("tea", "dog")] == [["tea"], ["dog"]]
    assert {item.key for item in qdrant.search(("words",))} == {"tea", "dog"}


async def test_an_asynchronous_node_reaches_the_store_by_its_runtime(qdrant: QdrantStore) -> None:
    async def node(state: Turn, runtime: Runtime[Any]) -> dict[str, Any]:
        assert runtime.store is not None
        await runtime.store.aput(("words",), state["word"], {"text": state["word"]})
        hits = await get_store().asearch(("words",), query=state["word"], limit=1)
        return {"found": [hit.key for hit in hits]}

    graph = graph_of(node, qdrant)
    words = [f"word{number}" for number in range(NODES)]
    ended = await asyncio.gather(*(graph.ainvoke({"word": word}) for word in words))
    assert [end["found"] for end in ended] == [[word] for word in words]


async def test_a_synchronous_node_of_an_asynchronous_run_reaches_it_too(
    qdrant: QdrantStore,
) -> None:
    def node(state: Turn, runtime: Runtime[Any]) -> dict[str, Any]:
        assert runtime.store is not None
        runtime.store.put(("words",), state["word"], {})
        return {"found": [item.key for item in runtime.store.search(("words",))]}

    assert (await graph_of(node, qdrant).ainvoke({"word": "tea"}))["found"] == ["tea"]


async def test_agents_of_a_compiled_workflow_reach_the_store(qdrant: QdrantStore) -> None:
    @agent(capabilities={"note"})
    async def note(task: Task) -> dict[str, Any]:
        store = get_store()
        await store.aput(("notes",), task.step_id, {"text": str(task.input["text"])})
        return {"known": [item.key for item in await store.asearch(("notes",))]}

    registry = AgentRegistry()
    registry.register(note)
    flow = Workflow(name="noting", steps=(Step(id="first", capability="note"),))
    # As a LangGraph host does with the graphs it is given.
    graph: Any = flow.compile(agents=registry).copy(update={"store": qdrant})
    ended = await graph.ainvoke({"input": {"text": "tea"}})
    assert ended["outputs"]["first"] == {"known": ["first"]}
    item = qdrant.get(("notes",), "first")
    assert item is not None
    assert item.value == {"text": "tea"}


def test_what_is_put_is_there_after_opening_the_folder_again(tmp_path: Path) -> None:
    for expected in (0, 1):
        with open_store(tmp_path) as store:
            assert len(store.search((), query="tea")) == expected
            store.put(("words",), "k", {"text": "tea"})


async def test_an_opened_store_takes_its_embedder_along(tmp_path: Path) -> None:
    async with open_store(tmp_path, embedder=Letters()) as store:
        await store.aput(("words",), "k", {"text": "tea"})
        found = await store.asearch((), query="eat")
        assert (found[0].score or 0) > 0.3


class Others(Letters):
    fingerprint = "letters-2"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"embedder": Others()}, "embedder 'letters-1', not 'letters-2'"),
        ({"embedder": None}, "embedder 'letters-1', not none"),
        ({"embedder": None, "index": {"embed": Letters().embed, "dims": 8}}, "not 'Embeddings"),
        ({"language": "german"}, "language 'english', not 'german'"),
    ],
    ids=["as long", "none", "shorter", "language"],
)
async def test_what_made_the_vectors_of_a_store_is_not_changed_silently(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    for _ in range(2):
        with open_store(tmp_path, embedder=Letters()) as store:
            store.put(("words",), "k", {"text": "tea"})
    given: dict[str, Any] = {"embedder": Letters(), **changed}
    async with open_store(tmp_path, **given) as store:
        with pytest.raises(MemoryFault, match=told) as fault:
            store.put(("words",), "other", {"text": "tea"})
        assert fault.value.code == "embedder_mismatch"
        with pytest.raises(MemoryFault, match=told):
            await store.asearch((), query="tea")
    with open_store(tmp_path, embedder=Letters()) as store:
        assert [item.key for item in store.search((), query="tea")] == ["k"]


def test_a_store_and_a_memory_of_one_folder_have_one_embedder(tmp_path: Path) -> None:
    with open_store(tmp_path, embedder=Letters()) as store:
        store.put(("words",), "k", {"text": "tea"})

    async def ask(embedder: Letters) -> int:
        async with Memory(tmp_path, embedder=embedder) as memory:
            return len(await memory.store.asearch((), query="tea"))

    assert asyncio.run(ask(Letters())) == 1
    with pytest.raises(MemoryFault, match="letters-2"):
        asyncio.run(ask(Others()))


def test_many_first_calls_check_a_store_once(tmp_path: Path) -> None:
    with open_store(tmp_path, embedder=Letters()) as store, ThreadPoolExecutor(NODES) as threads:
        list(threads.map(store.batch, map(asked, range(NODES))))
        check_that_nothing_is_lost(store, 1)


def test_what_memory_remembers_is_no_value_of_the_store(tmp_path: Path) -> None:
    backend = open_backend(tmp_path)
    scope = Scope(tenant="acme", user="ann")
    item = MemoryItem(str(uuid4()), "Ann drinks tea", 1.0, 1.0, scope)
    point = Point(item.id, item.to_payload(), LexicalEncoder().encode(item.text))
    backend.upsert([point]).result()
    with QdrantStore(backend, ttl={"sweep_interval_minutes": 1}) as store:
        assert store.search(()) == store.search((), query="tea") == store.list_namespaces() == []
        store.put(scope.namespace(), "k", {"text": "tea"})
        assert [found.key for found in store.search(scope.namespace(), query="tea")] == ["k"]
        assert store.list_namespaces() == [("tenant=acme", "user=ann")]
        store.delete(scope.namespace(), "k")
        assert store.sweep_ttl() == 0
        assert [record.id for record in backend.retrieve([item.id]).result()] == [item.id]


@pytest.mark.parametrize("settings", [{"embedder": "nobody"}, {"index": {"embed": "nobody"}}])
def test_an_embedder_that_is_not_known_is_refused_at_opening(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="the embedder 'nobody' cannot be used"):
        open_store(tmp_path, **settings)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put(("words",), "k", {})
    store.close()
    with pytest.raises(MemoryFault, match="closed"):
        store.get(("words",), "k")


def test_a_server_that_is_away_is_told_in_one_sentence(tmp_path: Path) -> None:
    with open_store(tmp_path, "http://127.0.0.1:9") as store:
        with pytest.raises(MemoryFault) as told:
            store.get(("words",), "k")
    assert told.value.code == "memory_unreachable"


def test_opening_a_store_touches_no_file(tmp_path: Path) -> None:
    open_store(tmp_path / "memory").close()
    assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize("retrieval", ["lexical", "hybrid", "dense"])
def test_a_store_can_be_told_what_ranks(tmp_path: Path, retrieval: Any) -> None:
    with open_store(tmp_path, embedder=Letters(), index={"retrieval": retrieval}) as store:
        store.put(("words",), "k", {"text": "tea"})
        by_letters = store.search((), query="eat")[0].score or 0
        by_words = store.search((), query="tea")[0].score or 0
        assert (by_letters > 0) == (retrieval != "lexical")
        assert by_words > 0
