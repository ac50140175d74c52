from importlib.resources import files
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stretto.graphs.schema import workflow_schema

SCHEMA = workflow_schema()
VALIDATOR: Any = Draft202012Validator(SCHEMA)
FOLDER = files("stretto.graphs.library")
SHIPPED = sorted(entry.name for entry in FOLDER.iterdir() if entry.name.endswith(".yaml"))


def errors(document: Any) -> list[str]:
    return ["/".join(map(str, e.path)) for e in VALIDATOR.iter_errors(document)]


def test_the_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_workflow_fits_it(name: str) -> None:
    text = FOLDER.joinpath(name).read_text("utf-8")
    assert errors(yaml.safe_load(text)) == []


def test_short_forms_fit_it() -> None:
    step = {
        "id": "a",
        "agent": "x",
        "retry": 3,
        "cache": "1h",
        "depends_on": "b",
        "transform": {"filter": "item.x"},
        "timeout": "30s",
        "on_error": "continue",
    }
    assert (
        errors({"name": "w", "steps": [step], "inputs": {"a": "string?", "b": {"enum": [1]}}}) == []
    )


def test_questions_and_requests_fit_it() -> None:
    approval: dict[str, Any] = {"message": "?", "edit": ["${a}"], "edit_schema": {"type": "array"}}
    approval |= {"comment": "required", "remind_after": "4h", "remind_every": 60}
    http = {"url": "https://x.example/", "select": "body[0]", "expect": [200], "max_bytes": 10}
    steps = [{"id": "a", "approval": approval}, {"id": "b", "http": http}]
    assert errors({"name": "w", "steps": steps}) == []


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"name": "w"}, ""),
        ({"name": "w", "steps": []}, "steps"),
        ({"name": "w", "steps": [{"id": "a b"}]}, "steps/0/id"),
        ({"name": "w", "steps": [{"id": "a", "join": "most"}]}, "steps/0/join"),
        ({"name": "w", "steps": [{"id": "a", "agnt": "x"}]}, "steps/0"),
        (
            {"name": "w", "steps": [{"id": "a", "approval": {"message": "?", "comment": "no"}}]},
            "steps/0/approval",
        ),
        (
            {"name": "w", "steps": [{"id": "a", "http": {"url": "https://x", "max_bytes": 0}}]},
            "steps/0/http",
        ),
        ({"name": "w", "steps": [{"id": "a"}], "inputs": {"a": 5}}, "inputs/a"),
    ],
)
def test_what_is_wrong_does_not_fit_it(document: Any, path: str) -> None:
    assert errors(document) == [path]


def test_every_key_of_a_workflow_and_a_step_is_described() -> None:
    for properties in (SCHEMA["properties"], SCHEMA["$defs"]["Step"]["properties"]):
        assert [key for key, declared in properties.items() if "description" not in declared] == []
