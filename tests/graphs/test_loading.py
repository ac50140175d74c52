import json
from pathlib import Path
from typing import Any

import pytest

from stretto.errors import Fault, WorkflowInvalid
from stretto.graphs.loading import load_document, load_file, load_text


def faults_of(document: dict[str, Any]) -> list[Fault]:
    with pytest.raises(WorkflowInvalid) as caught:
        load_document(document)
    return list(caught.value.faults)


def single(**rest: Any) -> dict[str, Any]:
    return {"name": "w", "steps": [{"id": "a", "agent": "x", **rest}]}


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ({**single(), "stepps": 1}, "unknown_key", "stepps"),
        (single(agnt="y"), "unknown_key", "steps[0].agnt"),
        (single(timeout=1, timeout_seconds=2), "conflicting_keys", "steps[0].timeout_seconds"),
        (single(step_type="magic"), "not_allowed", "steps[0].step_type"),
        ({"steps": single()["steps"]}, "missing_key", "name"),
        ({"name": "w"}, "missing_key", "steps"),
        ({"name": "w", "steps": []}, "no_steps", "steps"),
        ({"name": "?!", "steps": single()["steps"]}, "bad_value", ""),
        ({**single(), "version": "1.2"}, "bad_version", "version"),
        (single(params=5), "wrong_type", "steps[0].params"),
        (single(depends_on=5), "wrong_type", "steps[0].depends_on"),
        (single(output_to="a b"), "bad_id", "steps[0].output_to"),
        (single(join="most"), "not_allowed", "steps[0].join"),
        (single(timeout="5 parsecs"), "bad_duration", "steps[0].timeout"),
        (single(timeout_seconds="x"), "bad_duration", "steps[0].timeout_seconds"),
        (single(retries="three"), "wrong_type", "steps[0].retries"),
        (single(retry={"attempts": 1000}), "bad_value", "steps[0].retry.attempts"),
        (single(on_error="explode"), "wrong_type", "steps[0].on_error"),
        (single(on_error={"fallbak": 1}), "wrong_type", "steps[0].on_error"),
        (single(on_error={"agent": 5}), "wrong_type", "steps[0].on_error.agent"),
        (single(input_from=5), "wrong_type", "steps[0].input_from"),
        (single(when=5), "wrong_type", "steps[0].when"),
        (single(transform=[{"foo": 1}]), "wrong_type", "steps[0].transform[0]"),
        (single(transform=[{"filter": 5}]), "wrong_type", "steps[0].transform[0].filter"),
        (
            single(transform=[{"aggregate": "median"}]),
            "not_allowed",
            "steps[0].transform[0].aggregate",
        ),
        ({**single(), "triggers": [{"foo": 1}]}, "wrong_type", "triggers[0]"),
        ({**single(), "triggers": [{"at": "soon"}]}, "wrong_type", "triggers[0].at"),
        (
            {
                "name": "w",
                "steps": [{"id": "l", "loop": {"until": "true", "steps": single()["steps"]}}],
            },
            "no_bound",
            "steps[0].loop.max_iterations",
        ),
        ({"name": "w", "steps": ["a"]}, "wrong_type", "steps[0]"),
        ({"name": "w", "steps": [{"id": "a b", "agent": "x"}]}, "bad_id", "steps[0].id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_of_form_is_one_fault_with_its_code_and_path(
    document: dict[str, Any], code: str, path: str
) -> None:
    assert [(fault.code, fault.path) for fault in faults_of(document)] == [(code, path)]


def test_an_unknown_key_comes_with_the_nearest_known_one() -> None:
    assert faults_of(single(agnt="y"))[0].nearest == "agent"
    assert "agent" in faults_of(single(agnt="y"))[0].allowed


def test_a_wrong_word_comes_with_those_that_are_allowed() -> None:
    (fault,) = faults_of({**single(), "priority": "hihg"})
    assert fault.nearest == "high"
    assert fault.allowed == ("critical", "high", "medium", "low", "background")


def test_faults_of_form_do_not_hide_those_of_meaning() -> None:
    document = {
        "name": "w",
        "stepps": [],
        "tasks": [
            {"id": "a", "agent": "x", "agnt": "y", "when": "inptu.x"},
            {"id": "b", "agent": 5, "needs": ["c"]},
            {"id": "c", "agent": "x", "needs": ["b"], "timeout": "long"},
        ],
        "triggers": [{"cron": "often"}],
    }
    assert [(fault.code, fault.path) for fault in faults_of(document)] == [
        ("unknown_key", "tasks[0].agnt"),
        ("wrong_type", "tasks[1].agent"),
        ("bad_duration", "tasks[2].timeout"),
        ("unknown_key", "stepps"),
        ("cycle", "tasks[1].needs"),
        ("bad_cron", "triggers[0].cron"),
        ("unknown_name", "tasks[0].when"),
    ]


def test_a_step_that_is_wrong_is_not_missing_to_those_that_need_it() -> None:
    document = {
        "name": "w",
        "steps": [
            {"id": "a", "agent": 5, "output_to": "x y"},
            {"id": "b", "agent": "x", "depends_on": ["a"], "when": "a.ok"},
        ],
    }
    assert [(fault.code, fault.path) for fault in faults_of(document)] == [
        ("bad_id", "steps[0].output_to"),
        ("wrong_type", "steps[0].agent"),
    ]


YAML = """name: w
steps:
  - id: a
    agent: x
    join: most
  - {id: b, agent: x, needs: [c]}
"""


def test_faults_in_yaml_have_lines_and_columns() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        load_text(YAML, "yaml", "w.yaml")
    assert caught.value.source == "w.yaml"
    assert [(f.code, f.path, f.line, f.column) for f in caught.value.faults] == [
        ("not_allowed", "steps[0].join", 5, 5),
        ("unknown_step", "steps[1].needs[0]", 6, 31),
    ]


def test_faults_in_json_have_lines_and_columns() -> None:
    text = '{"name": "w",\n "steps": [{"id": "a", "agent": "x",\n  "when": "b.c"}]}'
    with pytest.raises(WorkflowInvalid) as caught:
        load_text(text, "json")
    (fault,) = caught.value.faults
    assert (fault.code, fault.line, fault.column) == ("unknown_name", 3, 3)


def test_the_same_workflow_comes_from_each_format(tmp_path: Path) -> None:
    document = {"name": "w", "steps": [{"id": "a", "agent": "x", "timeout": 30}]}
    yaml, toml = tmp_path / "w.yml", tmp_path / "w.toml"
    (tmp_path / "w.json").write_text(json.dumps(document))
    yaml.write_text("name: w\nsteps:\n  - {id: a, agent: x, timeout: 30s}\n")
    toml.write_text('name = "w"\n[[steps]]\nid = "a"\nagent = "x"\ntimeout = 30\n')
    expected = load_document(document)
    assert [load_file(tmp_path / name) for name in ("w.yml", "w.toml", "w.json")] == [expected] * 3


@pytest.mark.parametrize(
    ("name", "code"),
    [("missing.yaml", "unreadable"), ("folder.yaml", "unreadable"), ("w.ini", "unknown_format")],
)
def test_a_file_that_cannot_be_read_is_one_fault(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(WorkflowInvalid) as caught:
        load_file(tmp_path / name)
    assert [fault.code for fault in caught.value.faults] == [code]
    assert caught.value.source == str(tmp_path / name)


def test_a_huge_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"a" * 2_000_000)
    with pytest.raises(WorkflowInvalid) as caught:
        load_file(path)
    assert [fault.code for fault in caught.value.faults] == ["too_large"]


def test_a_workflow_written_out_loads_as_itself() -> None:
    document = {
        **single(on_error={"fallback": 1}, transform={"filter": "item.x > 1"}),
        "triggers": [{"at": "2026-12-31T12:00:00Z"}],
        "budget": {"usd": 0.5},
    }
    flow = load_document(document)
    again = load_document(flow.model_dump(mode="json", by_alias=True))
    assert again.digest == flow.digest


def test_other_workflows_can_be_known() -> None:
    flow = {"name": "w", "steps": [{"id": "a", "workflow": "other"}]}
    assert faults_of(flow)[0].code == "unknown_workflow"
    assert load_document(flow, workflows={"other"}).steps[0].workflow == "other"


EMPTY_NAMES: dict[str, dict[str, Any]] = {
    "agent": {"agent": ""},
    "capability": {"capability": ""},
    "workflow": {"workflow": ""},
    "map.agent": {"map": {"over": "[1]", "agent": ""}},
    "map.capability": {"map": {"over": "[1]", "capability": ""}},
    "select.rules[0].agent": {"select": {"rules": [{"when": "true", "agent": ""}]}},
    "select.agents[0]": {"select": {"agents": [""]}},
    "compensate.agent": {"agent": "x", "compensate": {"agent": ""}},
    "on_error.agent": {"agent": "x", "on_error": {"agent": ""}},
}


@pytest.mark.parametrize(("path", "rest"), EMPTY_NAMES.items(), ids=EMPTY_NAMES)
def test_a_name_that_is_empty_is_one_fault(path: str, rest: dict[str, Any]) -> None:
    faults = faults_of({"name": "w", "steps": [{"id": "a", **rest}]})
    assert [(f.path, f.code) for f in faults] == [(f"steps[0].{path}", "too_short")]
