"""Folder and server give the same answers to the same questions, whatever these are."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.server import ServerBackend
from stretto.memory.backend.types import (
    Condition,
    Filter,
    HasId,
    Match,
    MatchAny,
    Missing,
    Order,
    Point,
    Query,
    Range,
)
from tests.fakes.qdrant_server import qdrant_server

IDS = tuple(str(uuid.UUID(int=n)) for n in range(12))
KINDS = ("fact", "episode", "b:true")
NUMBERS = st.sampled_from([0.0, 0.5, 1.0, 2.0])
SPARSE = st.dictionaries(st.integers(0, 20), st.floats(0.125, 2.0, width=32), max_size=5).map(
    lambda terms: (sorted(terms), [terms[i] for i in sorted(terms)])
)
DENSE = st.lists(st.floats(0.125, 1.0, width=32), min_size=3, max_size=3)
PAYLOADS = st.fixed_dictionaries(
    {"kind": st.sampled_from(KINDS)},
    optional={
        "updated_at": NUMBERS,
        "valid_to": st.none() | NUMBERS,
        "n": st.integers(0, 3),
        "text": st.sampled_from(["", "long" * 1000]),
    },
)
POINTS = st.lists(
    st.builds(Point, st.sampled_from(IDS), PAYLOADS, SPARSE, SPARSE, st.none() | DENSE), max_size=10
)
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Match, st.just("kind"), st.sampled_from(KINDS)),
    st.builds(Match, st.just("n"), st.integers(0, 3)),
    st.builds(MatchAny, st.just("kind"), st.lists(st.sampled_from(KINDS)).map(tuple)),
    st.builds(Range, st.just("updated_at"), gte=st.none() | NUMBERS, lt=st.none() | NUMBERS),
    st.builds(Missing, st.sampled_from(["valid_to", "n"])),
    st.builds(HasId, st.lists(st.sampled_from(IDS), max_size=4).map(tuple)),
)


def clauses(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Filter]:
    some = st.lists(inner, max_size=2).map(tuple)
    return st.builds(Filter, some, some, some)


FILTERS = st.none() | clauses(st.one_of(LEAVES, clauses(LEAVES)))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Backend]]:
    folder: Path = tmp_path_factory.mktemp("pair")
    with qdrant_server() as server:
        edge = EdgeBackend(folder / "edge", 3)
        remote = ServerBackend(folder / "server", server.url, dims=3)
        yield edge, remote
        edge.close()
        remote.close()


@settings(max_examples=40)
@given(points=POINTS, filter=FILTERS, sparse=SPARSE, dense=DENSE, limit=st.integers(1, 5))
def test_folder_and_server_answer_alike(
    pair: tuple[Backend, Backend],
    points: list[Point],
    filter: Filter | None,
    sparse: Any,
    dense: list[float],
    limit: int,
) -> None:
    edge, remote = (answers(b, points, filter, sparse, dense, limit) for b in pair)
    assert edge == remote


def answers(
    backend: Backend,
    points: list[Point],
    filter: Filter | None,
    sparse: Any,
    dense: list[float],
    limit: int,
) -> list[Any]:
    backend.delete(Filter()).result()
    backend.upsert(points).result()
    queries = [
        Query("lex", sparse, filter, limit, scores_others=True),
        Query("lex_ep", sparse, filter, limit, with_payload=False),
        Query("dense", dense, filter, limit, True, scores_others=True),
    ]
    found = [
        backend.query(queries).result(),
        backend.scroll(filter, limit, None, Order("updated_at")).result(),
        backend.scroll(filter, limit, with_vectors=True).result(),
        backend.count(filter).result(),
        backend.facet("kind", filter, 10).result(),
        backend.delete(filter or Filter()).result(),
        backend.count(None).result(),
    ]
    return [sorted_hits(found[0]), *found[1:]]


@settings(max_examples=40)
@given(
    points=POINTS,
    filter=FILTERS,
    sparse=SPARSE,
    dense=DENSE,
    limit=st.integers(1, 5),
    offset=st.integers(0, 2),
)
def test_what_others_found_is_scored_as_if_nothing_limited_the_search(
    pair: tuple[Backend, Backend],
    points: list[Point],
    filter: Filter | None,
    sparse: Any,
    dense: list[float],
    limit: int,
    offset: int,
) -> None:
    for backend in pair:
        backend.delete(Filter()).result()
        backend.upsert(points).result()
        words = Query("lex", sparse, filter, limit, offset=offset, scores_others=True)
        near = Query("dense", dense, filter, limit, scores_others=True)
        limited = backend.query([words, near]).result()
        every = [replace(query, limit=100, offset=0) for query in (words, near)]
        found = {record.id for records in limited for record in records}
        whole = backend.query([replace(query, scores_others=False) for query in every]).result()
        expected = [{r.id: r.score for r in records if r.id in found} for records in whole]
        for records, scores in zip(limited, expected, strict=True):
            assert {r.id: r.score for r in records} == pytest.approx(scores)


CHANGES: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.just("upsert"), POINTS),
    st.tuples(st.just("set"), st.lists(st.sampled_from(IDS), max_size=3), PAYLOADS),
    st.tuples(st.just("delete"), st.lists(st.sampled_from(IDS), max_size=3)),
    st.tuples(st.just("drop"), st.sampled_from(KINDS)),
    st.tuples(st.just("rebuild"), st.sampled_from(KINDS)),
)


@settings(max_examples=25)
@given(changes=st.lists(CHANGES, max_size=8))
def test_what_is_read_is_what_was_written_last(
    pair: tuple[Backend, Backend], changes: list[Any]
) -> None:
    for backend in pair:
        backend.delete(Filter()).result()
        kept: dict[str, dict[str, Any]] = {}
        for change in changes:
            apply(backend, kept, change)
            read = backend.retrieve(IDS).result()
            assert {record.id: record.payload for record in read} == kept


def apply(backend: Backend, kept: dict[str, dict[str, Any]], change: Any) -> None:
    """Do a change to a backend, and to what it should hold."""
    match change:
        case "upsert", points:
            backend.upsert(points).result()
            kept |= {point.id: dict(point.payload) for point in points}
        case "set", ids, payload:
            backend.set_payload(ids, payload).result()
            for id in kept.keys() & ids:
                merged = kept[id] | payload
                kept[id] = {k: v for k, v in merged.items() if v is not None or k not in payload}
        case "delete", ids:
            backend.delete(ids).result()
            for id in ids:
                kept.pop(id, None)
        case "drop", kind:
            backend.delete(Filter((Match("kind", kind),))).result()
            for id in [id for id, payload in kept.items() if payload["kind"] == kind]:
                del kept[id]
        case "rebuild", kind:
            backend.rebuild(lambda point: replace(point, payload={"kind": kind})).result()
            kept |= {id: {"kind": kind} for id in kept}
        case _:
            raise AssertionError(change)


def sorted_hits(found: Any) -> Any:
    """Order hits of one score by id: which of them comes first is nobody's promise."""
    rows = [[(round(r.score, 5), r.id) for r in hits] for hits in found]
    return [(sorted({s for s, _ in row}), len(row)) for row in rows]
