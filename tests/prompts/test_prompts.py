import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.errors import ConfigurationError
from stretto.prompts import load_prompt, prompt_from_text, prompt_names
from stretto.prompts.prompt import parse_prompt

SOURCE = """---
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
    there, here = parse_prompt("greeting", SOURCE.replace("\n", "\r\n")), parse_prompt("g", SOURCE)
    assert there.digest == here.digest


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
    ("source", "message"),
    [
        ("Hello {{name}}", "must begin with front matter"),
        ("---\nvalues: [name\n---\nHello {{name}}", "broken front matter"),
        ("---\nvalues: name\n---\nHello {{name}}", "a list 'values'"),
        ("---\n- name\n---\nHello {{name}}", "a list 'values'"),
        ("---\nvalues: [name]\nvalue: 1\n---\nHello {{name}}", "unknown front matter 'value'"),
        ("---\nvalues: [nam]\n---\nHello {{name}}", "they differ in 'nam', 'name'"),
        ("---\nvalues: [a]\n---\n{{#a}} open", "no valid mustache"),
        ("---\nvalues: [a]\n---\n{{a}} {{> other}}", "includes 'other'"),
    ],
)
def test_a_faulty_prompt_is_refused(source: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_prompt("faulty", source)


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
