"""Templates: ``${...}`` in a tree of data."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.graphs.expressions import ExpressionError, Names
from stretto.graphs.templates import compile_template

DECLARED = ("input", "fetch", "verdict", "gone", "a-b", "item")
NAMES = Names(
    roots={"input": {"n": 3, "s": "x", "none": None, "m": {"b": 1, "a": [1.0, None]}, "t": True}},
    outputs={"fetch": {"z": 1, "a": 2**70}, "verdict": "valid", "a-b": [1], "item": "a step"},
    steps={"fetch": {"status": "completed"}},
)


def rendered(value: Any) -> Any:
    return compile_template(value, DECLARED).render(NAMES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${input.n}", 3),
        ("${ input.n }", 3),
        ("${input.m}", {"b": 1, "a": [1.0, None]}),
        ("${input.none}", None),
        ("${input.t}", True),
        ("${input.s + '!'}", "x!"),
        ("${{'a': {'b': input.n}}.a.b}", 3),
        ("${steps['a-b'].output}", [1]),
        ("${verdict.result}", "valid"),
    ],
)
def test_a_text_that_is_one_expression_becomes_the_value(text: str, expected: Any) -> None:
    value = rendered(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n=${input.n}", "n=3"),
        (" ${input.n}", " 3"),
        ("${input.s}${input.n}", "x3"),
        ("<${input.none}>", "<>"),
        ("${input.t}!", "true!"),
        ("${input.m}.", '{"b":1,"a":[1.0,null]}.'),
        ("it is ${verdict}", "it is valid"),
        ("ä ${'ö'} ü", "ä ö ü"),
    ],
)
def test_in_other_texts_values_are_written_as_text(text: str, expected: str) -> None:
    assert rendered(text) == expected


def test_a_step_alone_gives_its_raw_output() -> None:
    assert rendered("${verdict}") == "valid"
    assert rendered("${fetch}") is NAMES.outputs["fetch"]
    assert rendered({"a": ["${ verdict }"]}) == {"a": ["valid"]}


def test_a_step_without_output_gives_an_empty_mapping() -> None:
    assert rendered("${gone}") == {}


def test_a_root_hides_a_step_of_the_same_name() -> None:
    template = compile_template("${item}", DECLARED)
    assert template.render(NAMES) == "a step"
    assert template.render(Names({"item": 1}, NAMES.outputs, {})) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$${input.n}", "${input.n}"),
        ("a $${b} ${input.n}", "a ${b} 3"),
        ("$$${input.n}", "$${input.n}"),
        ("$${", "${"),
        ("$ {x} $ $$ }", "$ {x} $ $$ }"),
    ],
)
def test_two_dollars_stand_for_the_characters_themselves(text: str, expected: str) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${'}'}", "}"),
        ('${"{"} and ${"}"}', "{ and }"),
        ("${'\\'}'}", "'}"),
        ('${"\\"}"}', '"}'),
        ("${r'\\d}'}", "\\d}"),
        ("${'''a}'b'''}", "a}'b"),
        ('${"""}"}"""}', '}"}'),
        ("${{'}': {'{': 1}}['}']['{']}", 1),
        ("${input.n // a comment }", 3),
        ("${[{'a': 1}].map(i, {'b': i.a})[0].b}", 1),
    ],
)
def test_braces_inside_the_expression_do_not_end_it(text: str, expected: Any) -> None:
    assert rendered(text) == expected


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30))
def test_any_text_literal_can_stand_in_an_expression(text: str) -> None:
    literal = json.dumps(text, ensure_ascii=False)
    assert rendered("${" + literal + "}") == text
    assert rendered("{${" + literal + "}}") == "{" + text + "}"


def test_trees_are_filled_in_everywhere_but_in_keys() -> None:
    value = {"a": {"${input.n}": ["q", "${input.n}", 1]}, "b": ("${verdict}", None)}
    assert rendered(value) == {"a": {"${input.n}": ["q", 3, 1]}, "b": ["valid", None]}
    assert value["b"] == ("${verdict}", None)


def test_parts_that_need_nothing_are_the_same_objects() -> None:
    plain = {"a": [1, {"b": "c"}], "s": "$ {x}"}
    assert rendered(plain) is plain
    assert rendered([plain, "${input.n}"])[0] is plain
    assert compile_template(plain, DECLARED).expressions == ()


def test_secrets_stay_references() -> None:
    assert rendered({"h": "secret://CRM_TOKEN"}) == {"h": "secret://CRM_TOKEN"}
    assert rendered("secret://${input.s}") == "secret://${input.s}"


def test_expressions_are_listed_with_their_paths() -> None:
    template = compile_template(
        {"a": {"b": ["x", "${input.n} ${fetch.z}"]}, "c": "${gone}"}, DECLARED
    )
    assert [(path, e.text, set(e.references)) for path, e in template.expressions] == [
        ("a.b[1]", "input.n", {"input"}),
        ("a.b[1]", "fetch.z", {"fetch"}),
        ("c", "gone", {"gone"}),
    ]
    assert [path for path, _ in compile_template("${input.n}", DECLARED).expressions] == [""]
    assert [path for path, _ in compile_template([["${input.n}"]], DECLARED).expressions] == [
        "[0][0]"
    ]


@pytest.mark.parametrize(
    ("value", "message", "path", "column"),
    [
        ({"a": {"b": ["q", "${nope.x}"]}}, "'nope' is not known here", "a.b[1]", 1),
        ("${1 +}", "the expression ends too early", "", 4),
        (
            ["${input.n"],
            "'${' has no '}' that ends it; write '$${' for the characters themselves",
            "[0]",
            None,
        ),
        (
            {"a": "x ${{'b': 1}"},
            "'${' has no '}' that ends it; write '$${' for the characters themselves",
            "a",
            None,
        ),
        ({"a": "${" + "x" * 3000}, "'${' has no '}' within 2,000 characters", "a", None),
        ("${}", "the expression ends too early", "", 1),
    ],
)
def test_a_wrong_template_says_where(
    value: Any, message: str, path: str, column: int | None
) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template(value, DECLARED)
    error = caught.value
    assert (error.message, error.path, error.column) == (message, path, column)


def test_an_unknown_name_is_kept_for_suggestions() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template({"a": "${fetched.x}"}, DECLARED)
    assert caught.value.unknown == "fetched"


@pytest.mark.parametrize(
    ("value", "message", "path"),
    [
        ({"a": ["${input.zz}"]}, '${input.zz}: there is no key "zz"', "a[0]"),
        ({"a": "x ${input.n / 0}"}, "${input.n / 0}: a number is divided by zero", "a"),
    ],
)
def test_a_reference_that_fails_says_which_and_where(value: Any, message: str, path: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        rendered(value)
    assert (caught.value.message, caught.value.path) == (message, path)


def test_a_raw_output_that_cannot_be_written_is_an_error_with_its_path() -> None:
    names = Names({}, {"fetch": {1, 2}}, {})
    with pytest.raises(ExpressionError, match="cannot be written as text") as caught:
        compile_template({"a": "x ${fetch}"}, DECLARED).render(names)
    assert caught.value.path == "a"


def test_more_than_fifty_levels_are_refused() -> None:
    value: Any = "${input.n}"
    for _ in range(50):
        value = [value]
    assert json.dumps(rendered(value)) == "[" * 50 + "3" + "]" * 50
    for levels in (1, 100_000):
        for _ in range(levels):
            value = {"a": value}
        with pytest.raises(ExpressionError, match="^the data has more than 50 levels$"):
            compile_template(value, DECLARED)


def test_a_template_can_be_rendered_again_with_other_values() -> None:
    template = compile_template({"a": "${input.n}"}, DECLARED)
    assert [template.render(Names({"input": {"n": n}}, {}, {})) for n in (1, 2)] == [
        {"a": 1},
        {"a": 2},
    ]
