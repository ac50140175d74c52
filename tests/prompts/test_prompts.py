import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import ConfigurationError
from stretto.prompts import ModelHints, load_prompt, prompt_from_text, prompt_names
from stretto.prompts.loading import parse_prompt

SOURCE = """---
name: greeting
version: 2.1.0
description: A greeting.
values: [name, items]
---
Hello {{name}}.
{{#items}}
- {{label}}
{{/items}}
"""


def test_every_shipped_prompt_loads_and_has_a_description() -> None:
    assert "account_advice" in prompt_names()
    for name in prompt_names():
        prompt = load_prompt(name)
        assert prompt.name == name
        assert prompt.description
        assert prompt.values
        assert set(prompt.about) == set(prompt.values)
        assert all(prompt.about.values())


def test_a_prompt_has_the_version_values_and_digest_of_its_file() -> None:
    prompt = parse_prompt("greeting", SOURCE)
    assert (prompt.version, prompt.values) == ("2.1.0", ("name", "items"))
    assert prompt.text == "Hello {{name}}.\n{{#items}}\n- {{label}}\n{{/items}}\n"
    assert prompt.digest == hashlib.sha256(prompt.text.encode()).hexdigest()
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.name = "other"  # type: ignore[misc]


def test_sections_walk_through_lists() -> None:
    prompt = parse_prompt("greeting", SOURCE)
    items = [{"label": "one"}, {"label": "two"}]
    assert prompt.render(name="Ann", items=items) == "Hello Ann.\n- one\n- two"


def test_windows_line_ends_make_no_difference() -> None:
    there, here = [
        parse_prompt("greeting", text) for text in (SOURCE.replace("\n", "\r\n"), SOURCE)
    ]
    assert there == here


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("{{a.x}}", {"a": {"y": 1}}, "needs 'a.x', which its values do not have"),
        ("{{a.1}}", {"a": [0]}, "needs 'a.1', which"),
        ("{{a.x}}", {"a": "text"}, "needs 'a.x', which"),
        ("{{#a}}{{x}}{{/a}}", {"a": [{"x": 1}, {"y": 1}]}, "needs 'x' in 'a', which"),
        ("{{#a}}{{#b}}{{x}}{{/b}}{{/a}}", {"a": {"b": [{}, {"y": 1}]}}, "needs 'x' in 'b', which"),
        ("{{^a}}{{x}}{{/a}}", {"a": []}, "needs 'x', which"),
    ],
)
def test_a_key_that_a_value_does_not_have_is_an_error(
    text: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        prompt_from_text(text).render(**values)


@pytest.mark.parametrize(
    ("text", "values", "rendered"),
    [
        ("{{#a.x}}{{.}}{{/a.x}}{{^a.x}}no x{{/a.x}}", {"a": {}}, "no x"),
        ("{{#a}}{{b}}{{c}}{{/a}}", {"a": [{"b": 1}], "c": 2}, "12"),
        ("{{#a}}{{x}}{{/a}}.", {"a": []}, "."),
        ("{{a.x}}.", {"a": {"x": ""}}, "."),
        ("{{#a}}{{b}}{{/a}}", {"a": True, "b": 1}, "1"),
    ],
)
def test_sections_may_ask_for_what_is_not_there(
    text: str, values: dict[str, Any], rendered: str
) -> None:
    prompt = dataclasses.replace(prompt_from_text(text), values=tuple(values))
    assert prompt.render(**values) == rendered


def test_missing_and_unused_values_are_named_together() -> None:
    with pytest.raises(ConfigurationError) as failure:
        parse_prompt("greeting", SOURCE).render(name="Ann", itmes=[], more=1)
    assert failure.value.message == (
        "prompt 'greeting' needs 'items' and does not use 'itmes', 'more'; "
        "its values are 'name', 'items'"
    )


def test_an_unknown_prompt_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"no prompt 'acount_advise'.*'account_advice'\?"):
        load_prompt("acount_advise")


@pytest.mark.parametrize("name", ["../pyproject", "/etc/passwd", "prompt", ""])
def test_only_shipped_prompts_can_be_loaded(name: str) -> None:
    with pytest.raises(ConfigurationError, match="There is no prompt"):
        load_prompt(name)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("values: [name", "broken front matter"),
        ("- name", "that is no mapping; its keys are 'name', 'version'"),
        ("version: 1", "has no 'name' in its front matter"),
        ("name: faulty", "has no 'version' in its front matter"),
        ("name: other\nversion: 1", "calls itself 'other'; its name has to be that of its file"),
        ("name: faulty\nversion: [1]", "a 'version' that is no text"),
        ("name: faulty\nversion: 1\nvalues: name", "neither a list of names nor a mapping"),
        ("name: faulty\nversion: 1\nvalues: [1]", "neither a list of names nor a mapping"),
        ("name: faulty\nversion: 1\nvalues: {name: [a]}", "neither a list of names nor a mapping"),
        ("name: faulty\nversion: 1\nvalue: 1", "unknown front matter 'value'.*mean 'values'"),
        ("name: faulty\nversion: 1\nvalues: [nam]", "declares 'nam' but uses 'name'"),
        ("name: faulty\nversion: 1\nmodel: gpt", "'model' that is no mapping"),
        ("name: faulty\nversion: 1\nmodel: {temprature: 1}", "model hint.*mean 'temperature'"),
        ("name: faulty\nversion: 1\nmodel: {temperature: 3}", "a number from 0 to 2"),
        ("name: faulty\nversion: 1\nmodel: {temperature: true}", "a number from 0 to 2"),
        ("name: faulty\nversion: 1\nmodel: {max_tokens: 0}", "a whole number of at least 1"),
        ("name: faulty\nversion: 1\nmodel: {name: 4}", "the name of a model"),
    ],
)
def test_faulty_front_matter_is_refused(head: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^prompt 'faulty' .*{message}"):
        parse_prompt("faulty", f"---\n{head}\n---\nHello {{{{name}}}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{{#a}} open", "no valid mustache"), ("{{> a/b}}", "includes 'a/b'; write it as {{> name}}")],
)
def test_a_faulty_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        prompt_from_text(text)


def test_a_prompt_has_front_matter() -> None:
    with pytest.raises(ConfigurationError, match="must begin with front matter"):
        parse_prompt("faulty", "Hello {{name}}")


def test_values_may_say_what_they_are_and_hints_what_the_model_should_be() -> None:
    head = "name: a\nversion: 1.0\nvalues: {x: The first., y: }\nmodel: {max_tokens: 50, name: m}"
    prompt = parse_prompt("a", f"---\n{head}\n---\n{{{{x}}}}{{{{y}}}}")
    assert (prompt.version, prompt.values) == ("1.0", ("x", "y"))
    assert prompt.about == {"x": "The first.", "y": ""}
    assert prompt.model == ModelHints(name="m", max_tokens=50)
    assert prompt.model.to_dict() == {"name": "m", "max_tokens": 50}


def test_a_run_records_name_version_and_hash() -> None:
    prompt = parse_prompt("greeting", SOURCE)
    assert prompt.facts() == {"name": "greeting", "version": "2.1.0", "hash": prompt.digest}


def test_a_text_is_a_prompt_whose_values_are_the_names_in_it() -> None:
    prompt = prompt_from_text("{{a.b}} {{#c}}{{d}}{{/c}} {{^c}}none{{/c}} {{{e}}} {{a}}")
    assert prompt.values == ("a", "c", "e")


def test_mappings_and_lists_go_in_as_json() -> None:
    prompt = prompt_from_text("{{a}} {{a.x}} {{b}}")
    rendered = prompt.render(a={"x": 'é"'}, b=[{"y": None}, 2])
    assert rendered == '{"x": "é\\""} é" [{"y": null}, 2]'


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Z"))))
def test_text_goes_in_as_it_is(text: str) -> None:
    assert prompt_from_text("<{{a}}>").render(a=text) == f"<{text}>"


def test_a_template_inside_a_value_stays_text() -> None:
    prompt = prompt_from_text("{{a}}{{b}}")
    assert prompt.render(a="{{b}}", b="&") == "{{b}}&"
