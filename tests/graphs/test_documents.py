import time

import pytest

from stretto.errors import Fault, WorkflowInvalid
from stretto.graphs.documents import check_document, parse_document

ALIAS_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(f"b{i}:\n  <<: *a\n" for i in range(3000))


def refused(text: bytes | str, format: str) -> list[Fault]:
    with pytest.raises(WorkflowInvalid) as caught:
        parse_document(text, format)
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("text", "format", "code"),
    [
        (ALIAS_BOMB, "yaml", "anchors_refused"),
        (MERGE_BOMB, "yaml", "anchors_refused"),
        ("[" * 200_000, "yaml", "too_deep"),
        ("[" * 200_000, "json", "too_deep"),
        ("a = " + "[" * 200_000, "toml", "too_deep"),
        ("a: " + "{b: " * 50_000, "yaml", "too_deep"),
        ("- " * 300_000, "yaml", "too_deep"),
        ("a." * 200_000 + "b = 1", "toml", "too_deep"),
        ("a: " + "x" * 5_000_000, "yaml", "too_large"),
        ("".join(f"k{i}: {i}\n" for i in range(60_000)), "yaml", "too_many_nodes"),
        (
            "{" + ",".join(f'"k{i}":{i}' for i in range(60_000)) + "}",
            "json",
            "too_many_nodes",
        ),
        ("".join(f"k{i}={i}\n" for i in range(70_000)), "toml", "too_many_nodes"),
        (b"a: \xff", "yaml", "not_utf8"),
        ("a: b\0c", "yaml", "syntax"),
        ('{"a": "\0"}', "json", "syntax"),
        ("a: *nowhere", "yaml", "aliases_refused"),
        ("a: !!python/object/apply:os.system [ls]", "yaml", "tags_refused"),
        ("<<: {a: 1}", "yaml", "merge_keys_refused"),
        ("a: 1\n---\nb: 2", "yaml", "several_documents"),
        ("? [a]\n: b", "yaml", "bad_key"),
        ("1: b", "yaml", "bad_key"),
        ("a: [", "yaml", "syntax"),
        ("a: .nan", "yaml", "not_finite"),
        ("- a", "yaml", "not_a_mapping"),
        ("", "yaml", "not_a_mapping"),
        ("[]", "json", "not_a_mapping"),
        ('{"a": NaN}', "json", "not_finite"),
        ('{"a": -Infinity}', "json", "not_finite"),
        ('{"a": 1e999}', "json", "not_finite"),
        ('{"a": 1} x', "json", "syntax"),
        ('{"a": 01}', "json", "syntax"),
        ("{'a': 1}", "json", "syntax"),
        ('{"a": "\\ud800"}', "json", "syntax"),
        ('{"a": ' + "9" * 5000 + "}", "json", "syntax"),
        ('{"a" 1}', "json", "syntax"),
        ("a = nan", "toml", "not_finite"),
        ("a = 1\na = 2", "toml", "duplicate_key"),
        ("a = ", "toml", "syntax"),
        ("a", "ini", "unknown_format"),
    ],
)
def test_what_is_no_safe_document_is_refused_with_one_fault_at_once(
    text: bytes | str, format: str, code: str
) -> None:
    started = time.process_time()
    faults = refused(text, format)
    assert time.process_time() - started < 1
    assert [fault.code for fault in faults] == [code]


def test_every_duplicate_key_is_listed_with_its_place() -> None:
    faults = refused("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n", "yaml")
    assert [(f.code, f.path, f.line, f.column) for f in faults] == [
        ("duplicate_key", "a", 2, 1),
        ("duplicate_key", "b.c", 5, 3),
    ]
    faults = refused('{"a": 1, "a": 2,\n "b": {"c": 1, "c": 2}}', "json")
    assert [(f.code, f.path, f.line, f.column) for f in faults] == [
        ("duplicate_key", "a", 1, 10),
        ("duplicate_key", "b.c", 2, 16),
    ]


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_positions_count_lines_and_columns_from_one(format: str) -> None:
    text = '{"steps": [\n  {"id": "a",\n   "params": {"x y": 1}}]}'
    document = parse_document(text, format)
    assert document.data == {"steps": [{"id": "a", "params": {"x y": 1}}]}
    assert document.positions["steps"] == (1, 2)
    assert document.positions["steps[0]"] == (2, 3)
    assert document.positions['steps[0].params["x y"]'] == (3, 15)


def test_a_json_syntax_error_says_where() -> None:
    (fault,) = refused('{"a": 1,\n "b": }', "json")
    assert (fault.line, fault.column) == (2, 7)


def test_a_toml_syntax_error_says_where() -> None:
    (fault,) = refused("a = 1\nb = = 2", "toml")
    assert (fault.line, fault.column) == (2, 5)


def test_yaml_scalars_are_those_of_yaml_1_2() -> None:
    text = """
    a: no
    b: 1:30
    c: 2024-01-01
    d: [true, False, null, ~, 12, -3, 0x1F, 0o17, 1.5, 1e3, .5, +7, 1_000, 'true', 010]
    version: 1.10
    nested: {version: 1.10}
    """
    assert parse_document(text, "yaml").data == {
        "a": "no",
        "b": "1:30",
        "c": "2024-01-01",
        "d": [True, False, None, None, 12, -3, 31, 15, 1.5, 1000.0, 0.5, 7, "1_000", "true", 10],
        "version": "1.10",
        "nested": {"version": 1.1},
    }


@pytest.mark.parametrize(
    ("text", "format"), [("a: x", "yaml"), ('{"a": "x"}', "json"), ("a = 'x'", "toml")]
)
def test_a_byte_order_mark_is_no_fault(text: str, format: str) -> None:
    assert parse_document(text.encode("utf-8-sig"), format).data == {"a": "x"}


def test_toml_dates_become_text() -> None:
    text = "at = 2026-12-31T12:00:00Z\nday = 2026-12-31"
    assert parse_document(text, "toml").data == {
        "at": "2026-12-31T12:00:00+00:00",
        "day": "2026-12-31",
    }


def test_plain_data_that_contains_itself_is_refused() -> None:
    data: dict[str, object] = {}
    data["a"] = data
    with pytest.raises(WorkflowInvalid) as caught:
        check_document(data)
    assert [fault.code for fault in caught.value.faults] == ["too_deep"]


def test_plain_data_that_shares_itself_is_counted_as_often_as_it_is_seen() -> None:
    data: object = "x"
    for _ in range(20):
        data = [data, data, data]
    with pytest.raises(WorkflowInvalid) as caught:
        check_document({"a": data})
    assert [fault.code for fault in caught.value.faults] == ["too_many_nodes"]


def test_keys_of_plain_data_are_texts() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        check_document({"steps": [{1: 2}]})
    assert [(f.code, f.path) for f in caught.value.faults] == [("bad_key", "steps[0]")]


@pytest.mark.parametrize("text", ["a: {b: string?}", "a: [string?, x]", "a: {b: https://x/?q=1}"])
def test_a_text_in_brackets_that_has_a_question_mark_is_to_be_quoted(text: str) -> None:
    (fault,) = refused(text, "yaml")
    assert fault.code == "syntax"
    assert fault.message.endswith("put a text that has a '?' in it in quotes.")


def test_a_question_mark_is_read_in_quotes_and_outside_of_brackets() -> None:
    text = 'a: {b: "string?"}\nc: string?\n'
    assert parse_document(text, "yaml").data == {"a": {"b": "string?"}, "c": "string?"}
