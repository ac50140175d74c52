"""Items of memory: what a payload holds is exactly what the item was."""

import json
from math import inf, nextafter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.memory.item import Kind, MemoryItem, Scope, Source

TEXT = st.none() | st.text(max_size=20)
MOMENT = st.floats(allow_nan=False, allow_infinity=False).map(lambda t: round(t, 6))
TIME = st.none() | MOMENT
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | MOMENT | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)

ITEMS = st.builds(
    MemoryItem,
    id=st.uuids().map(str),
    text=st.text(),
    created_at=MOMENT,
    updated_at=MOMENT,
    scope=st.builds(Scope, TEXT, TEXT, TEXT, TEXT, TEXT),
    kind=st.sampled_from(Kind),
    data=st.dictionaries(st.text(), JSON, max_size=3),
    key=TEXT,
    subject=TEXT,
    importance=st.floats(0, 1).map(lambda share: round(share, 6)),
    source=st.builds(Source, TEXT, TEXT, TEXT, TEXT, TEXT),
    valid_from=TIME,
    valid_to=TIME,
    expires_at=TIME,
    supersedes=TEXT,
    superseded_by=TEXT,
    pinned=st.booleans(),
    seen_count=st.integers(1, 2**53),
    said_again=st.lists(MOMENT, max_size=3).map(tuple),
    episode_id=TEXT,
    position=st.none() | st.integers(0, 2**53),
)


@given(ITEMS)
def test_an_item_comes_back_from_its_payload_the_very_same(item: MemoryItem) -> None:
    stored: dict[str, Any] = json.loads(json.dumps(item.to_payload()))
    assert MemoryItem.from_payload(stored) == item


@given(st.integers(-(2**31) * 10**6, 2**31 * 10**6), st.sampled_from([-inf, 0.0, inf]))
def test_a_time_whose_last_digit_differs_is_read_as_it_was(micros: int, way: float) -> None:
    at = micros / 10**6
    item = MemoryItem("8a6e0804-2bd0-4672-b79d-d97027f9071a", "said", at, at)
    stored = item.to_payload() | {"created_at": nextafter(at, way) if way else at}
    assert MemoryItem.from_payload(stored) == item


def test_a_payload_can_be_filtered_by_scope_source_and_pin() -> None:
    item = MemoryItem(
        id="8a6e0804-2bd0-4672-b79d-d97027f9071a",
        text="Ann lives in Bern",
        created_at=1.0,
        updated_at=1.0,
        scope=Scope(tenant="acme", user="ann"),
        source=Source(run_id="r1"),
        pinned=True,
    )
    payload = item.to_payload()
    assert payload["stretto"] == "item"
    assert (payload["tenant"], payload["run_id"], payload["pinned"]) == ("acme", "r1", "b:true")
    assert "valid_to" not in payload


@pytest.mark.parametrize(
    ("scope", "namespace"),
    [
        (Scope(), ("memory",)),
        (Scope(user="ann", tenant="acme"), ("tenant=acme", "user=ann")),
        (Scope(thread="t", workflow="w", agent="a"), ("agent=a", "workflow=w", "thread=t")),
    ],
)
def test_a_scope_names_what_is_set_in_field_order(scope: Scope, namespace: tuple[str, ...]) -> None:
    assert scope.namespace() == namespace


def test_data_that_is_not_json_is_refused() -> None:
    item = MemoryItem(id="x", text="t", created_at=0, updated_at=0, data={"n": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        item.to_payload()
