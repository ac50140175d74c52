"""What every backend promises, the same in a folder and on a server."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from typing import Any

import pytest

from stretto.errors import MemoryFault
from stretto.memory.backend.protocol import Backend, Engine
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

EXACT = 1e-4
"""How far a cosine may be from that of whole floats."""


def ident(number: int) -> str:
    return str(uuid.UUID(int=number))


def fill(backend: Backend, count: int) -> None:
    """Write points with kind a or b, a time in steps of three, and maybe an end."""
    points = [
        Point(
            ident(n),
            {
                "kind": "ab"[n % 2],
                "updated_at": float(n // 3),
                "tags": [f"t{n}", "all"],
                "n": n,
                "value": {"a.b": {"c": float(n)}},
                **({"valid_to": float(n)} if n % 4 == 0 else {"valid_to": None}),
            },
            lex=([n, 1000], [1.0, 1.0]),
            dense=[1.0, float(n), 0.0],
        )
        for n in range(count)
    ]
    backend.upsert(points).result()


def found(backend: Backend, *must: Condition, **clauses: tuple[Condition, ...]) -> list[int]:
    records, _ = backend.scroll(Filter(must, **clauses), 100).result()
    return sorted(record.payload["n"] for record in records)


def test_a_point_comes_back_whole(backend: Backend) -> None:
    payload: dict[str, Any] = {
        "text": "Grüße \u0000 \U0001f600",
        "big": 2**63 - 1,
        "sum": 0.1 + 0.2,
        "flag": True,
        "none": None,
        "nested": {"list": [1, "two", [3.5]]},
    }
    point = Point(ident(1), payload, lex=([1, 4_000_000_000], [0.5, 2]), lex_ep=([7], [1.5]))
    backend.upsert([point]).result()
    [record] = backend.retrieve([ident(1)], with_vectors=True).result()
    assert record.id == ident(1)
    assert record.payload == payload
    assert record.vectors is not None
    assert record.vectors.lex is not None
    assert [list(part) for part in record.vectors.lex] == [[1, 4_000_000_000], [0.5, 2.0]]
    assert record.vectors.dense is None


def test_a_point_without_vectors_is_kept_and_one_replaces_another_whole(backend: Backend) -> None:
    backend.upsert([Point(ident(1), {"old": 1}, lex=([1], [1.0]))]).result()
    backend.upsert([Point(ident(1), {"new": 2})]).result()
    [record] = backend.retrieve([ident(1)], with_vectors=True).result()
    assert record.payload == {"new": 2}
    assert record.vectors == (None, None, None)


def test_the_last_of_two_points_with_one_id_holds(backend: Backend) -> None:
    backend.upsert([Point(ident(1), {"n": 1}), Point(ident(1), {"n": 2})]).result()
    assert [r.payload for r in backend.retrieve([ident(1)]).result()] == [{"n": 2}]


def test_points_are_retrieved_in_the_order_asked_for_and_missing_ones_left_out(
    backend: Backend,
) -> None:
    fill(backend, 5)
    asked = [ident(4), ident(99), ident(0), ident(4)]
    assert [r.payload["n"] for r in backend.retrieve(asked).result()] == [4, 0]


def test_every_kind_of_condition_finds_what_it_says(backend: Backend) -> None:
    fill(backend, 8)
    assert found(backend, Match("kind", "a")) == [0, 2, 4, 6]
    assert found(backend, Match("tags", "t3")) == [3]
    assert found(backend, Match("n", 3)) == [3]
    assert found(backend, Match("updated_at", 1.0)) == [3, 4, 5]
    assert found(backend, MatchAny("tags", ("t1", "t2"))) == [1, 2]
    assert found(backend, MatchAny("n", (1, 7))) == [1, 7]
    assert found(backend, Range("n", gt=2, lte=4)) == [3, 4]
    assert found(backend, Range('value."a.b"."c"', gte=6)) == [6, 7]
    assert found(backend, Missing("valid_to")) == [1, 2, 3, 5, 6, 7]
    assert found(backend, Missing("never")) == list(range(8))
    assert found(backend, HasId((ident(1), ident(50)))) == [1]
    assert found(backend) == list(range(8))


def test_conditions_combine(backend: Backend) -> None:
    fill(backend, 8)
    either = Filter(should=(HasId((ident(1),)), MatchAny("tags", ("t6",))))
    assert found(backend, either) == [1, 6]
    assert found(backend, either, must_not=(Match("kind", "a"),)) == [1]
    assert found(backend, must_not=(Missing("valid_to"), Range("n", lte=0))) == [4]


def test_sparse_search_weighs_rare_terms_more(backend: Backend) -> None:
    fill(backend, 20)
    [records] = backend.query([Query("lex", ([5, 1000], [1.0, 1.0]), limit=3)]).result()
    assert records[0].payload["n"] == 5
    scores = [r.score or 0 for r in records]
    assert scores[0] > scores[1] == scores[2] > 0


def test_dense_search_ranks_by_cosine(backend: Backend) -> None:
    fill(backend, 5)
    [records] = backend.query([Query("dense", [2.0, 4.0, 0.0], limit=2)]).result()
    assert records[0].payload["n"] == 2
    assert records[0].score == pytest.approx(1.0, abs=EXACT)


def test_queries_of_one_batch_have_their_own_filter_offset_and_vectors(backend: Backend) -> None:
    fill(backend, 6)
    every = Query("dense", [1.0, 0.0, 0.0], limit=10)
    some = Query("dense", [1.0, 0.0, 0.0], Filter((Match("kind", "b"),)), 10, True, 1)
    first, second = backend.query([every, some]).result()
    assert [r.payload["n"] for r in first] == [0, 1, 2, 3, 4, 5]
    assert [r.payload["n"] for r in second] == [3, 5]
    assert first[0].vectors is None
    assert second[0].vectors is not None
    assert backend.query([]).result() == []


def test_a_query_without_payload_gives_ids_and_scores(backend: Backend) -> None:
    fill(backend, 6)
    asked = [Query("dense", [1.0, 0.0, 0.0], None, 4, True, 1, said) for said in (True, False)]
    whole, bare = backend.query(asked).result()
    assert [r.payload["n"] for r in whole] == [1, 2, 3, 4]
    assert bare == [r._replace(payload={}, vectors=None) for r in whole]


def test_a_query_scores_what_others_found_too(backend: Backend) -> None:
    fill(backend, 8)
    words = Query("lex", ([5, 6], [1.0, 1.0]))
    even = Filter((Match("kind", "a"),))
    near = Query("dense", [1.0, 0.0, 0.0], even, 2, True, scores_others=True)
    unread = Query("dense", [0.0, 1.0, 0.0], None, 1, with_payload=False)
    worded, scored, [far] = backend.query([words, near, unread]).result()
    assert sorted(r.payload["n"] for r in worded) == [5, 6]
    assert worded[0].vectors is None
    assert [r.payload["n"] for r in scored] == [0, 2, 6]
    assert scored[2].score == pytest.approx(1 / sqrt(37), abs=EXACT)
    assert scored[2].vectors is not None
    assert far.id == ident(7)


def test_pages_by_id_give_each_point_once(backend: Backend) -> None:
    fill(backend, 600)
    seen, cursor = list[int](), None
    while True:
        page, cursor = backend.scroll(None, 290, cursor).result()
        seen += [r.payload["n"] for r in page]
        if cursor is None:
            break
    assert seen == list(range(600))


@pytest.mark.parametrize("descending", [True, False])
def test_pages_in_an_order_neither_lose_nor_repeat_points_of_one_value(
    backend: Backend, descending: bool
) -> None:
    fill(backend, 11)
    backend.upsert([Point(ident(50), {"n": 50})]).result()  # without the field
    expected = sorted(range(11), key=lambda n: (-(n // 3) if descending else n // 3, n))
    for limit in (1, 2, 3, 4, 7, 100):
        seen, cursor, order = list[int](), None, Order("updated_at", descending)
        while True:
            page, cursor = backend.scroll(None, limit, cursor, order).result()
            assert len(page) <= limit
            seen += [r.payload["n"] for r in page]
            if cursor is None:
                break
        assert seen == expected


def test_counts_and_facets_are_exact_and_sorted(backend: Backend) -> None:
    fill(backend, 9)
    assert backend.count(None).result() == 9
    assert backend.count(Filter((Match("kind", "a"),))).result() == 5
    assert backend.facet("kind", None, 1_000_000).result() == [("a", 5), ("b", 4)]
    some = Filter((Range("n", lt=4),))
    assert backend.facet("kind", some, 10).result() == [("a", 2), ("b", 2)]


def test_deleting_says_how_many_there_were(backend: Backend) -> None:
    fill(backend, 9)
    assert backend.delete([ident(1), ident(1), ident(77)]).result() == 1
    assert backend.delete(Filter((Match("kind", "a"),))).result() == 5
    assert found(backend) == [3, 5, 7]


def test_setting_a_payload_merges_and_skips_points_that_do_not_exist(backend: Backend) -> None:
    fill(backend, 2)
    backend.set_payload([ident(1), ident(77)], {"seen": 2}).result()
    [record] = backend.retrieve([ident(1)]).result()
    assert (record.payload["seen"], record.payload["kind"]) == (2, "b")
    assert backend.count(None).result() == 2
    for value in (float("nan"), b"bytes", object()):
        error = backend.set_payload([ident(1)], {"seen": value}).exception()
        assert isinstance(error, MemoryFault)
        assert error.code == "point_invalid"
    assert backend.retrieve([ident(1)]).result() == [record]


@pytest.mark.parametrize(
    ("point", "code"),
    [
        (Point("no-uuid", {}), "point_invalid"),
        (Point(ident(1), {"x": float("nan")}), "point_invalid"),
        (Point(ident(1), {"x": object()}), "point_invalid"),
        (Point(ident(1), {}, dense=[1.0, 2.0]), "vector_invalid"),
        (Point(ident(1), {}, dense=[1.0, float("nan"), 0.0]), "vector_invalid"),
        (Point(ident(1), {}, dense=[1.0, float("inf"), 0.0]), "vector_invalid"),
        (Point(ident(1), {}, lex=([1, 2], [1.0])), "vector_invalid"),
        (Point(ident(1), {}, lex=([1, 1], [1.0, 1.0])), "vector_invalid"),
        (Point(ident(1), {}, lex_ep=([2**32], [1.0])), "vector_invalid"),
        (Point(ident(1), {}, lex=([1], [float("inf")])), "vector_invalid"),
    ],
)
def test_a_point_that_cannot_be_kept_is_refused_and_nothing_of_its_call_written(
    backend: Backend, point: Point, code: str
) -> None:
    with pytest.raises(MemoryFault) as caught:
        backend.upsert([Point(ident(5), {}), point]).result()
    assert caught.value.code == code
    assert not caught.value.degrades
    assert backend.count(None).result() == 0


def test_a_wrong_query_is_refused(backend: Backend) -> None:
    for query in (Query("dense", [1.0]), Query("dense", [float("nan"), 0, 0])):
        with pytest.raises(MemoryFault) as caught:
            backend.query([query]).result()
        assert caught.value.code == "vector_invalid"
    for future in (backend.query([Query("lex", ([], []), limit=0)]), backend.scroll(None, 0)):
        with pytest.raises(MemoryFault, match="limit of at least 1"):
            future.result()
    with pytest.raises(MemoryFault, match="not a cursor"):
        backend.scroll(None, 1, "x", Order("updated_at")).result()


def test_a_boolean_cannot_be_matched() -> None:
    with pytest.raises(TypeError, match="'pinned' cannot be matched with a boolean"):
        Match("pinned", True)
    with pytest.raises(TypeError, match="b:true"):
        MatchAny("pinned", (True,))


def test_nothing_comes_between_the_calls_of_atomic_work(backend: Backend) -> None:
    backend.upsert([Point(ident(1), {"n": 0})]).result()

    def increment(engine: Engine) -> None:
        [record] = engine.retrieve([ident(1)])
        engine.set_payload([ident(1)], {"n": record.payload["n"] + 1})

    with ThreadPoolExecutor(8) as threads:
        for future in threads.map(backend.atomic, [increment] * 40):
            future.result()
    assert backend.retrieve([ident(1)]).result()[0].payload["n"] == 40


def test_atomic_work_has_all_calls_and_its_error_reaches_the_caller(backend: Backend) -> None:
    def work(engine: Engine) -> Any:
        engine.upsert([Point(ident(n), {"kind": "a"}, lex=([1], [1.0])) for n in range(3)])
        deleted = engine.delete([ident(0)])
        [hits] = engine.query([Query("lex", ([1], [1.0]))])
        page, _ = engine.scroll(None, 10)
        return deleted, len(hits), len(page), engine.count(None), engine.facet("kind", None, 5)

    def broken(engine: Engine) -> None:
        engine.upsert([Point(ident(9), {})])
        raise LookupError("mine")

    assert backend.atomic(work).result() == (1, 2, 2, 2, [("a", 2)])
    with pytest.raises(LookupError, match="mine"):
        backend.atomic(broken).result()


def test_a_rebuild_transforms_drops_and_sets_dims_and_metadata_at_once(backend: Backend) -> None:
    fill(backend, 300)
    backend.set_metadata({"embedder": "one", "kept": 1}).result()

    def change(point: Point) -> Point | None:
        if point.payload["n"] % 2:
            return None
        return Point(point.id, {**point.payload, "kind": "c"}, point.lex, dense=[1.0, 1.0])

    backend.rebuild(change, dims=2, metadata={"embedder": "two"}).result()
    assert backend.count(None).result() == 150
    assert backend.facet("kind", None, 5).result() == [("c", 150)]
    metadata = backend.metadata().result()
    assert (metadata["embedder"], metadata["kept"], metadata["dims"]) == ("two", 1, 2)
    [[nearest, *_]] = backend.query([Query("dense", [1.0, 1.0])]).result()
    assert nearest.score == pytest.approx(1.0)
    backend.rebuild(lambda point: Point(point.id, point.payload, point.lex), dims=0).result()
    assert backend.metadata().result()["dims"] is None


def test_a_rebuild_that_fails_changes_nothing(backend: Backend) -> None:
    fill(backend, 10)

    def broken(point: Point) -> Point:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        backend.rebuild(broken, metadata={"embedder": "new"}).result()
    assert backend.count(None).result() == 10
    assert "embedder" not in backend.metadata().result()


def test_compacting_keeps_every_point(backend: Backend) -> None:
    fill(backend, 20)
    backend.delete(Filter((Match("kind", "a"),))).result()
    backend.compact().result()
    assert found(backend) == [n for n in range(20) if n % 2]


def test_stats_say_how_much_is_kept(backend: Backend) -> None:
    fill(backend, 4)
    stats = backend.stats().result()
    assert (stats.points, stats.spooled) == (4, 0)


async def test_a_caller_with_an_event_loop_awaits_the_same_futures(backend: Backend) -> None:
    writes = (backend.upsert([Point(ident(n), {"n": n})]) for n in range(50))
    await asyncio.gather(*map(asyncio.wrap_future, writes))
    assert await asyncio.wrap_future(backend.count(None)) == 50


def test_a_closed_backend_says_so_and_closes_twice(backend: Backend) -> None:
    backend.upsert([Point(ident(1), {})]).result()
    backend.close()
    backend.close()
    with pytest.raises(MemoryFault) as caught:
        backend.count(None).result()
    assert caught.value.code == "memory_closed"
