from typing import Any

import pytest

from stretto.errors import InputInvalid
from stretto.graphs.inputs import check_input, input_schema
from stretto.graphs.spec import Workflow


def workflow(**inputs: Any) -> Workflow:
    steps = [{"id": "a", "agent": "x"}]
    return Workflow.model_validate({"name": "w", "inputs": inputs, "steps": steps})


def faults(flow: Workflow, data: Any) -> list[tuple[str, str]]:
    with pytest.raises(InputInvalid) as caught:
        check_input(flow, data)
    return [(fault.code, fault.path) for fault in caught.value.faults]


def test_type_words_become_a_schema() -> None:
    assert input_schema({"a": "string", "b": "int?", "c": "any", "d": {"type": "list?"}}) == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "integer"},
            "c": {},
            "d": {"type": "array"},
        },
        "required": ["a", "c"],
        "additionalProperties": False,
    }


def test_a_default_makes_a_key_optional_and_required_can_be_said() -> None:
    schema = input_schema({"a": {"default": 1}, "b": {"type": "string", "required": False}})
    assert schema["required"] == []


def test_a_schema_of_an_object_is_taken_as_it_is() -> None:
    inputs: dict[str, Any] = {
        "type": "object",
        "properties": {"a": {}},
        "additionalProperties": True,
    }
    assert input_schema(inputs) == inputs


def test_every_mismatch_comes_at_once() -> None:
    flow = workflow(
        id={"type": "string", "pattern": "^ACC-[0-9]+$"},
        count="integer",
        mail={"type": "string", "format": "email"},
        kind={"enum": ["big", "small"]},
        missing="string",
        deep={"type": "object", "properties": {"x": {"type": "number"}}},
    )
    data = {"id": "1", "count": "1", "mail": "x", "kind": "bgi", "deep": {"x": "y"}, "coutn": 1}
    assert sorted(faults(flow, data)) == [
        ("bad_format", "input.mail"),
        ("bad_pattern", "input.id"),
        ("missing_input", "input.missing"),
        ("not_allowed", "input.kind"),
        ("unknown_input", "input.coutn"),
        ("wrong_type", "input.count"),
        ("wrong_type", "input.deep.x"),
    ]


def test_wrong_names_and_words_come_with_the_nearest() -> None:
    with pytest.raises(InputInvalid) as caught:
        check_input(workflow(count="int?", kind={"enum": ["big"]}), {"coutn": 1, "kind": "bgi"})
    assert {fault.nearest for fault in caught.value.faults} == {"count", "big"}


def test_defaults_are_filled_in_and_the_input_is_not_changed() -> None:
    flow = workflow(
        a={"default": [1]}, b={"type": "object", "properties": {"c": {"default": 2}}}, d="string?"
    )
    given: dict[str, Any] = {"b": {}}
    assert check_input(flow, given) == {"a": [1], "b": {"c": 2}}
    assert given == {"b": {}}
    check_input(flow, given)["a"].append(5)
    assert check_input(flow, given)["a"] == [1]


def test_without_declared_inputs_any_json_goes() -> None:
    assert check_input(workflow(), {"a": [1, {"b": None}]}) == {"a": [1, {"b": None}]}


@pytest.mark.parametrize("data", [[1], "x", {"a": {1}}, {"a": float("nan")}, {"a": object()}])
def test_what_is_no_json_is_refused(data: Any) -> None:
    assert faults(workflow(), data) == [("not_json", "input")]


def test_extra_keys_go_when_the_author_says_so() -> None:
    flow = workflow(type="object", properties={"a": {}}, additionalProperties={"type": "string"})
    assert check_input(flow, {"b": "x"}) == {"b": "x"}
    assert faults(flow, {"b": 1}) == [("wrong_type", "input.b")]
    closed = workflow(type="object", properties={"a": {}})
    assert faults(closed, {"b": 1}) == [("unknown_input", "input.b")]


def test_no_reference_is_ever_fetched() -> None:
    flow = workflow(a={"$ref": "http://127.0.0.1:9/schema.json"})
    assert faults(flow, {"a": 1}) == [("bad_schema", "inputs")]
