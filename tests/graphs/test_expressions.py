"""Expressions: what CEL text means here, what it refers to, and how it fails."""

import ast
import json
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.graphs.expressions import (
    ExpressionError,
    Names,
    compile_expression,
    evaluate_condition,
    is_identifier,
    translate_condition,
)

DECLARED = ("input", "item", "index", "run", "fetch", "verdict", "nothing", "gone", "a-b")
NAMES = Names(
    roots={
        "input": {"n": 3, "text": "call the API", "x": 1.5, "none": None, "list": [1, 2.5]},
        "item": {"amount": 2, "price": 1.25},
        "index": 4,
        "run": {"errors": 1},
    },
    outputs={
        "fetch": {"account": {"name": "Ada", "id": 7}, "status": "own", "rows": [1, 2]},
        "verdict": "valid",
        "nothing": None,
        "a-b": {"k": 5},
        "report": [1],
    },
    steps={
        "fetch": {"status": "completed", "error": None, "attempts": 2, "duration": 0.5},
        "verdict": {"status": "completed", "attempts": 1},
        "a-b": {"status": "completed"},
        "gone": {"status": "skipped", "error": None},
    },
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


def value_of(text: str) -> Any:
    return compile_expression(text, DECLARED).evaluate(NAMES)


def value_with(text: str, value: Any) -> Any:
    return compile_expression(text, ["input"]).evaluate(Names({"input": value}, {}, {}))


def error_of(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fetch.account.name", "Ada"),
        ("fetch.account", {"name": "Ada", "id": 7}),
        ("verdict.result == 'valid'", True),
        ("verdict", {"result": "valid"}),
        ("nothing", {"result": None}),
        ("gone", {}),
        ("has(gone.x)", False),
        ("has(fetch.account.name)", True),
        ("has(fetch.account.age)", False),
        ("input.none == null", True),
        ("input.text.contains('API')", True),
        ("input.text.split(' ')[1]", "the"),
        ("math.greatest(item.amount, index)", 4),
        ("input.list.map(i, i * 2)", [2, 5.0]),
        ("input.list.filter(i, i > 1)", [2.5]),
        ("{'b': 1, 'a': [true, null]}", {"a": [True, None], "b": 1}),
        ("{1: 'x', false: 'y'}", {"1": "x", "false": "y"}),
        ("timestamp('2026-01-02T03:04:05Z')", "2026-01-02T03:04:05Z"),
        ("duration('90s')", 90.0),
        ("fetch.`account`.id", 7),
        (".fetch.account.id", 7),
        ("\n fetch .account\n  // a comment\n . id", 7),
    ],
)
def test_names_and_values_mean_what_the_spec_says(text: str, expected: Any) -> None:
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('steps["a-b"].k', 5),
        ("steps['fetch'].status", "completed"),
        ("steps.fetch.attempts", 2),
        ("steps['fetch'].account.id", 7),
        ("steps['fetch'].output.status", "own"),
        ("steps['verdict'].result", "valid"),
        ("steps['verdict'].output", "valid"),
        ("steps['gone'].status", "skipped"),
        ("steps['gone'].output", None),
        ("has(steps['gone'].result)", False),
        ("steps['nothing'].result", None),
        ("steps['report'].result", [1]),
        (
            "steps['fetch']",
            {
                "account": {"name": "Ada", "id": 7},
                "rows": [1, 2],
                "status": "completed",
                "error": None,
                "attempts": 2,
                "duration": 0.5,
                "output": NAMES.outputs["fetch"],
            },
        ),
        ("['fetch', 'gone'].map(name, steps[name].status)", ["completed", "skipped"]),
        ("steps.exists(name, name == 'a-b')", True),
        ("'unknown' in steps", False),
    ],
)
def test_steps_gives_outputs_together_with_what_became_of_the_step(
    text: str, expected: Any
) -> None:
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("item.amount * 1.5", 3.0),
        ("1.5 * item.amount", 3.0),
        ("item.amount + item.price", 3.25),
        ("item.price - item.amount", -0.75),
        ("item.amount / 0.5", 4.0),
        ("item.amount * 2.5 + 1 - index", 2.0),
        ("-item.amount * 1.5", -3.0),
        ("input.list.map(i, i * 1.5 + 1)", [2.5, 4.75]),
        ("item.amount * 2.5 > 3", True),
        ("size(input.list) >= 1.5", True),
        ("size(input.list) / 4.0 == 0.5", True),
        ("size(input.list) == 2.0", True),
        ("item.amount * 1.5 in [3, 4]", True),
        ("1.0 < 2", True),
    ],
)
def test_ints_and_doubles_mix(text: str, expected: Any) -> None:
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("item.amount * 3", 6),
        ("7 / 2", 3),
        ("7 % 4 - 1", 2),
        ("'a' + 'b'", "ab"),
        ("input.list + [3]", [1, 2.5, 3]),
        ("string(b'a' + b'b')", "ab"),
        ("timestamp('2026-01-01T00:00:00Z') + duration('1s')", "2026-01-01T00:00:01Z"),
        ("duration('1s') + timestamp('2026-01-01T00:00:00Z')", "2026-01-01T00:00:01Z"),
        ("timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z')", 86400.0),
        ("timestamp('2026-01-02T00:00:00Z') - duration('1s')", "2026-01-01T23:59:59Z"),
        ("duration('3s') - duration('1s') < duration('3s')", True),
        ("timestamp('2026-01-02T00:00:00Z') > timestamp('2026-01-01T00:00:00Z')", True),
        ("'a' < 'b' && b'a' <= b'a' && false < true", True),
        ("int(2u * 3u - 1u + 1u / 1u)", 6),
        ("2u > 1u && 1 != 2 && 'a' != 'b' && [1] == [1.0]", True),
    ],
)
def test_all_other_operators_work_as_in_plain_cel(text: str, expected: Any) -> None:
    value = value_of(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text(verdict.result)", "valid"),
        ("text(input.list)", "[1,2.5]"),
        ("text(fetch.account)", '{"id":7,"name":"Ada"}'),
        ("text(null)", "null"),
        ("text(1.5) + text(2) + text(true) + text(3u)", "1.52true3"),
        ("text('ä')", "ä"),
        ("text(['ä'])", '["ä"]'),
        ("text(timestamp('2026-01-02T03:04:05Z'))", "2026-01-02T03:04:05Z"),
        ("text(duration('90s'))", "90.0"),
    ],
)
def test_text_writes_any_value(text: str, expected: str) -> None:
    assert value_of(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "line", "column", "unknown"),
    [
        ("nope.x + 1", "'nope' is not known here", 1, 1, "nope"),
        ("1 +\n  zz.y.z", "'zz' is not known here", 2, 3, "zz"),
        ("'äö😀' + zz", "'zz' is not known here", 1, 9, "zz"),
        ("input.n + zz . y", "'zz' is not known here", 1, 14, "zz"),
        ("input.n.foo(1)", "there is no function 'foo' that takes these values", 1, 12, None),
        ("fetch(1)", "there is no function 'fetch' that takes these values", 1, 6, None),
        ("input.n and true", "'and' is no operator; write '&&' for and, '||' for or", 1, 9, None),
        ("input.n = 1", "'=' is no operator; write '==' to compare", 1, 9, None),
        ("input.n +", "the expression ends too early", 1, 10, None),
        ("", "the expression ends too early", 1, 1, None),
        ("input.", "the expression ends too early", 1, 7, None),
        ("1)", "')' is not expected here", 1, 2, None),
        ("1 @ 2", "'@' cannot be read here", 1, 3, None),
        ("loop", "'loop' is a reserved word", 1, 1, None),
        ("'x' + 1", "'+' does not work with (string, int)", 1, 5, None),
        ("size(1)", "'size' does not work with (int)", 1, 5, None),
        ("(" * 200, "the expression is nested too deeply", None, None, None),
        ("a-b", "'a' is not known here", 1, 1, "a"),
    ],
)
def test_a_wrong_text_says_what_is_wrong_and_where(
    text: str, message: str, line: int | None, column: int | None, unknown: str | None
) -> None:
    error = error_of(text)
    assert (error.message, error.line, error.column, error.unknown) == (
        message,
        line,
        column,
        unknown,
    )
    assert str(error) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone.x", 'there is no key "x"'),
        ("steps['zz'].x", 'there is no key "zz"'),
        ("input.n.y", "a field is read from a value that is no mapping"),
        ("input.list[7]", "index 7 is outside a list of 2"),
        ("input.text + 1", "'+' does not work with (string, int64)"),
        ("input.text * 1.5", "'*' does not work with (string, double)"),
        ("input.n && true", "'&&' needs true or false"),
        ("input.n ? 1 : 2", "what stands before '?' must be true or false"),
        ("input.n / 0", "a number is divided by zero"),
        ("input.n / 0.0", "a number is divided by zero"),
        ("input.n + 9223372036854775807", "integer overflow"),
        ("b'x'", "the expression gives bytes, which is no JSON value"),
        ("1.0 / 0.0", "the expression gives inf, which is no JSON value"),
        ("input.text.matches('(')", "invalid regular expression: missing ): ("),
    ],
)
def test_an_expression_that_fails_on_its_values_says_why(text: str, message: str) -> None:
    assert error_of(text).message == message


def test_a_type_is_no_json_value() -> None:
    assert error_of("type(1)").message.endswith("which is no JSON value")


def test_an_expression_that_runs_too_long_is_stopped() -> None:
    text = "input.map(a, input.map(b, input.map(c, input.map(d, 1))))"
    with pytest.raises(ExpressionError, match="^the expression takes too many iterations$"):
        value_with(text, list(range(100)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**64, "a number needs more than 64 bits"),
        ([-(2**63) - 1], "a number needs more than 64 bits"),
        (float("nan"), "the expression gives nan, which is no JSON value"),
        ({"a": float("-inf")}, "the expression gives -inf, which is no JSON value"),
        ((1, 2), "a value of type tuple is no JSON value"),
        ({"a": [{1, 2}]}, "a value of type set is no JSON value"),
        ({"a": object()}, "a value of type object is no JSON value"),
        ({None: 1}, "a mapping has a key that is no text"),
        (["a\0b"], "a text holds a NUL character"),
        ({"\0": 1}, "a text holds a NUL character"),
        ("\ud800", "a text holds characters that are not valid Unicode"),
        ({"a": b"x"}, "the expression gives bytes, which is no JSON value"),
    ],
)
def test_a_value_that_json_does_not_have_is_an_error(value: Any, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value_with("input", value)
    assert caught.value.message == message


def test_values_that_would_crash_the_evaluator_are_refused() -> None:
    # In a process of its own, because what is prevented here is a segmentation fault.
    script = """
from stretto.graphs.expressions import ExpressionError, Names, compile_expression
deep, ring, wide = 1, [], []
for _ in range(100_000):
    deep = [deep]
ring.append(ring)
for _ in range(64):
    wide = [wide, wide]
for value in (deep, ring, wide, {"a": {"b": deep}}):
    try:
        compile_expression("input == input", ["input"]).evaluate(Names({"input": value}, {}, {}))
    except ExpressionError as error:
        print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["a value is too large, too deep, or holds itself"] * 4


def test_values_may_have_up_to_199_levels() -> None:
    value: Any = 1
    for _ in range(199):
        value = [value]
    assert value_with("input", value) == value
    with pytest.raises(ExpressionError, match="too deep"):
        value_with("input", [value])


@given(json_values)
def test_any_json_value_passes_through_unchanged_with_its_types(value: Any) -> None:
    assert json.dumps(value_with("input", value)) == json.dumps(value)
    assert value_with("[input][0]", value) == value


def test_a_name_with_fields_keeps_the_order_of_keys_and_others_sort_them() -> None:
    value = {key: 1 for key in "qwertyuiop"}
    assert list(value_with("input.a", {"a": value})) == list("qwertyuiop")
    assert list(value_with("[input.a][0]", {"a": value})) == sorted(value)
    assert value_with("text(input)", value) == json.dumps(
        value, sort_keys=True, separators=(",", ":")
    )


def test_what_is_given_back_is_a_copy() -> None:
    data = {"a": {"b": [1]}}
    value_with("input.a", data)["b"].append(2)
    assert data == {"a": {"b": [1]}}


REFERENCES: list[tuple[str, set[str], set[str]]] = [
    ("1 + 1", set(), set()),
    ("fetch.x + input.y", {"fetch", "input"}, set()),
    ("'fetch' + \"input.n\" // run", set(), set()),
    ("input.list.map(fetch, fetch.x + index)", {"input", "index"}, set()),
    ("[1].map(i, i + item.x) + [item]", {"item"}, set()),
    ("{'run': fetch.run}", {"fetch"}, set()),
    ("steps['a-b'].x + steps[\"gone\"].status", {"steps"}, {"a-b", "gone"}),
    ("steps.fetch.status", {"steps"}, {"fetch"}),
    ("steps [ 'fetch' ] . status", {"steps"}, {"fetch"}),
    ("'steps[\"fetch\"]'", set(), set()),
    ("has(gone.x) && 'x' in fetch", {"gone", "fetch"}, set()),
    (
        " + ".join(["input.n"] * 15) + "+" + " + ".join(["fetch.n"] * 14),
        {"input", "fetch"},
        set(),
    ),
    (
        "[" + ",".join(["input.n"] * 40 + ["fetch.n", "run.n"]) + "]",
        {"input", "fetch", "run"},
        set(),
    ),
]


@pytest.mark.parametrize(("text", "references", "steps"), REFERENCES)
def test_references_are_the_names_really_used(
    text: str, references: set[str], steps: set[str]
) -> None:
    expression = compile_expression(text, DECLARED)
    assert expression.references == references
    assert expression.step_references == steps


PARTS = ["@.a", "@.a.b", "@.a.b.c", "@.a.d", "has(@.a.b)", "has(@.a.z)", "@.a['d']", "@.a.d.size()"]


@given(st.lists(st.sampled_from(PARTS), min_size=1))
def test_leaving_out_what_is_not_read_changes_no_value(parts: list[str]) -> None:
    value = {"a": {"b": {"c": 1, "x": 2}, "d": [3], "e": 4}, "f": 5}
    text = f"[{', '.join(parts)}]"
    # In brackets the name is read as a whole.
    whole = value_with(text.replace("@", "[input][0]"), value)
    assert value_with(text.replace("@", "input"), value) == whole


def test_only_what_is_read_is_converted() -> None:
    data = {"big": object(), "account": {"name": "Ada", "photo": object()}}
    names = Names({"input": data}, {"fetch": data}, {"fetch": {"status": "completed"}})
    declared = ["input", "fetch"]
    for text in (
        "input.account.name",
        "fetch.account.name",
        "has(fetch.account.name) ? 'Ada' : ''",
    ):
        assert compile_expression(text, declared).evaluate(names) == "Ada"
    assert compile_expression("steps['fetch'].status", declared).evaluate(names) == "completed"
    many = "[" + ",".join(["input.account.name"] * 40 + ["input.account"]) + "]"
    with pytest.raises(ExpressionError, match="type object"):
        compile_expression(many, declared).evaluate(names)


def test_ids_that_are_no_identifiers_are_left_out_of_the_declared_names() -> None:
    expression = compile_expression("x + 1", ["x", "a-b", "in", "int", "loop", "", "ä"])
    assert expression.evaluate(Names({"x": 1}, {}, {})) == 2


@pytest.mark.parametrize("name", ["a", "_x1", "size", "text", "math", "steps", "google", "has"])
def test_an_identifier_can_be_a_name(name: str) -> None:
    assert is_identifier(name)
    assert compile_expression(f"{name}.k", [name]).evaluate(Names({name: {"k": 1}}, {}, {})) == 1


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a.b", "ä", "in", "true", "null", "for", "loop", "int", "list", "a\n"]
)
def test_other_names_and_words_that_cel_has_taken_are_no_identifiers(name: str) -> None:
    assert not is_identifier(name)


@pytest.mark.parametrize(
    ("text", "expected"), [("item.amount > 1", True), ("item.amount > 2", False)]
)
def test_a_condition_is_true_or_false(text: str, expected: bool) -> None:
    assert evaluate_condition(compile_expression(text, DECLARED), NAMES) is expected


@pytest.mark.parametrize(
    ("text", "given_"),
    [
        ("item.amount", "2"),
        ("verdict.result", "valid"),
        ("nothing.result", "null"),
        ("input.list.map(i, 'x'.replace('x', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'))", None),
    ],
)
def test_a_condition_that_gives_anything_else_says_what(text: str, given_: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate_condition(compile_expression(text, DECLARED), NAMES)
    wanted = given_ or '["' + "y" * 33 + '","' + "y" * 22 + "..."
    message = f"a condition must give true or false, this one gives {wanted}"
    assert caught.value.message == message


def test_typed_conditions_are_written_as_cel() -> None:
    contains = {"type": "result_contains", "phase": "a-b", "value": "ok"}
    assert translate_condition(contains) == 'text(steps["a-b"].output).contains("ok")'
    assert translate_condition({"type": "error_count", "max_errors": 3}) == "run.errors < 3"


@given(texts, st.booleans())
def test_a_typed_condition_finds_any_text(value: str, there: bool) -> None:
    output = f"<{value}>" if there else ""
    names = Names({}, {"p": output}, {})
    text = translate_condition({"type": "result_contains", "phase": "p", "value": value})
    condition = compile_expression(text, ["p"])
    assert evaluate_condition(condition, names) is (there or value == "")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            {"type": "moon"},
            "'moon' is no type of condition; the types are result_contains, error_count",
        ),
        ({}, "None is no type of condition; the types are result_contains, error_count"),
        (
            {"type": "result_contains", "phase": "p"},
            "a condition of type result_contains has exactly phase and value",
        ),
        (
            {"type": "error_count", "max_errors": 1, "x": 1},
            "a condition of type error_count has exactly max_errors",
        ),
        ({"type": "error_count", "max_errors": "1 || true"}, "max_errors must be a whole number"),
    ],
)
def test_a_typed_condition_that_is_wrong_says_why(typed: dict[str, Any], message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        translate_condition(typed)
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["(" * 200_000, "[" * 2000, "1" + "+1" * 999])
def test_a_text_that_is_too_long_or_too_deep_is_refused_at_once(text: str) -> None:
    begun = time.process_time()
    error = error_of(text)
    assert time.process_time() - begun < 0.2
    assert error.message in (
        "the expression is longer than 2,000 characters",
        "the expression is nested too deeply",
    )


@given(st.text(max_size=40))
def test_any_text_either_compiles_or_gives_one_clear_sentence(text: str) -> None:
    try:
        compile_expression(text, DECLARED)
    except ExpressionError as error:
        assert error.message
        assert "\n" not in error.message.replace(text, "")
        assert "INVALID_ARGUMENT" not in error.message
        assert "<input>" not in error.message


def test_the_same_text_is_compiled_once() -> None:
    assert compile_expression("item.x", ["item"]) is compile_expression("item.x", {"item"})
    assert compile_expression("item.x", ["item"]) is not compile_expression("item.x", DECLARED)


def test_importing_stretto_does_not_import_cel() -> None:
    script = (
        "import sys, stretto, stretto.graphs.spec; print([m for m in sys.modules if 'cel_' in m])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == []
