"""Namespaces are matched label by label, never by their letters."""

from typing import Any

import pytest
from langgraph.store.base import BaseStore, ListNamespacesOp, MatchCondition, PutOp

from stretto.memory.store.paths import join, split

TREE = [
    ("acme", "docs", "public"),
    ("acme", "docs", "private"),
    ("acme", "images", "public"),
    ("beta", "docs", "drafts", "old", "public"),
    ("beta", "docs", "public"),
]


@pytest.fixture(scope="module")
def held() -> list[PutOp]:
    return [PutOp(namespace, "k", {"n": 1}) for namespace in TREE]


def fill(store: BaseStore, namespaces: list[tuple[str, ...]]) -> None:
    for namespace in namespaces:
        store.put(namespace, "k", {"n": 1})


def under(store: BaseStore, *prefix: str) -> set[tuple[str, ...]]:
    return {item.namespace for item in store.search(prefix, limit=100)}


def test_a_search_ends_at_the_border_of_a_label(store: BaseStore) -> None:
    fill(store, [("foo",), ("foo", "child"), ("foo", "child", "deep"), ("foobar",), ("foo2", "x")])
    assert under(store, "foo") == {("foo",), ("foo", "child"), ("foo", "child", "deep")}
    assert under(store, "foobar") == {("foobar",)}
    assert under(store, "fo") == set()
    assert len(under(store)) == 5


@pytest.mark.parametrize(
    ("label", "decoy"),
    [
        ("user_1", "userX1"),
        ("100%", "100x"),
        ("star*", "starX"),
        ("*", "x"),
        ("q?m", "qXm"),
        ("br[ack]et", "bra"),
        ("plus+", "pluss"),
        ("it's", "its"),
        ('quo"te', "quote"),
        ("back\\slash", "backslash"),
        ("line\n", "line"),
        ("Foo", "foo"),
        ("Straße", "Strasse"),
        ("é", "e\u0301"),
        ("日本", "日"),
        (" ", "  "),
    ],
)
def test_a_label_is_its_text_and_nothing_else(store: BaseStore, label: str, decoy: str) -> None:
    fill(store, [(label,), (label, "child"), (decoy,), (decoy, "child")])
    assert under(store, label) == {(label,), (label, "child")}
    if label != "*":
        assert store.list_namespaces(prefix=(label,)) == [(label,), (label, "child")]
        assert store.list_namespaces(suffix=(label,)) == [(label,)]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 5),
        ({"prefix": ("acme",)}, 3),
        ({"prefix": ("acme", "docs")}, 2),
        ({"prefix": ("docs",)}, 0),
        ({"prefix": ("*",)}, 5),
        ({"prefix": ("*", "docs")}, 4),
        ({"prefix": ("acme", "*", "public")}, 2),
        ({"prefix": ("*", "*", "*", "*")}, 1),
        ({"suffix": ("public",)}, 4),
        ({"suffix": ("ublic",)}, 0),
        ({"suffix": ("docs", "public")}, 2),
        ({"suffix": ("docs", "*")}, 3),
        ({"suffix": ("drafts", "*", "public")}, 1),
        ({"prefix": ("acme",), "suffix": ("public",)}, 2),
        ({"prefix": ("acme", "docs", "public"), "suffix": ("acme", "docs", "public")}, 1),
        ({"prefix": ("acme", "docs", "public", "more")}, 0),
        ({"max_depth": 1}, 2),
        ({"max_depth": 2}, 3),
        ({"max_depth": 2, "suffix": ("public",)}, 3),
        ({"max_depth": 9}, 5),
        ({"limit": 2}, 2),
        ({"offset": 3}, 2),
        ({"offset": 9}, 0),
        ({"limit": 0}, 0),
    ],
)
def test_namespaces_are_listed_by_both_ends(
    filled: BaseStore, asked: dict[str, Any], count: int
) -> None:
    listed = filled.list_namespaces(**asked)
    assert len(set(listed)) == len(listed) == count


def test_namespaces_are_listed_in_order_and_page_by_page(store: BaseStore) -> None:
    fill(store, TREE)
    assert store.list_namespaces() == sorted(TREE)
    pages = [store.list_namespaces(limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [namespace for page in pages for namespace in page] == sorted(TREE)


def test_several_conditions_of_one_end_hold_together(store: BaseStore) -> None:
    fill(store, TREE)
    conditions = (MatchCondition("prefix", ("acme",)), MatchCondition("prefix", ("*", "docs")))
    (listed,) = store.batch([ListNamespacesOp(conditions)])
    assert listed == [("acme", "docs", "private"), ("acme", "docs", "public")]


def test_a_namespace_lists_no_longer_than_it_holds_something(qdrant: BaseStore) -> None:
    fill(qdrant, TREE)
    for namespace in TREE[:3]:
        qdrant.delete(namespace, "k")
    assert qdrant.list_namespaces() == sorted(TREE[3:])


def test_many_namespaces_are_all_listed(store: BaseStore) -> None:
    fill(store, [("user", f"{number:04}") for number in range(1200)])
    listed = store.list_namespaces(limit=2000)
    assert listed == [("user", f"{number:04}") for number in range(1200)]


@pytest.mark.parametrize(
    "namespace", [(), ("a",), ("a", "b"), ("a\x1fb",), ("\x1e", "\x1f"), ("\x1e1",), ("", "")]
)
def test_a_path_reads_back_as_its_namespace(namespace: tuple[str, ...]) -> None:
    assert split(join(namespace)) == namespace
