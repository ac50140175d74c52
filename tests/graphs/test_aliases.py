import copy
from typing import Any

import pytest

from stretto.graphs.aliases import canonicalize, workflow_defaults
from stretto.graphs.paths import source_path


def step(**given: Any) -> Any:
    return canonicalize({"name": "w", "steps": [{"id": "s", **given}]})[0]["steps"][0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"dependencies": ["a"]}, {"depends_on": ["a"]}),
        ({"needs": "a"}, {"depends_on": ["a"]}),
        ({"agent_type": "x"}, {"agent": "x"}),
        ({"agent_capability": "x"}, {"capability": "x"}),
        ({"task": "x"}, {"action": "x"}),
        ({"parameters": {"a": 1}}, {"params": {"a": 1}}),
        ({"config": {"a": 1}}, {"params": {"a": 1}}),
        ({"condition": "a.b"}, {"when": "a.b"}),
        ({"timeout_seconds": 30}, {"timeout": 30}),
        ({"retries": 3}, {"retry": {"attempts": 3}}),
        ({"retry_count": 3, "retry_delay": 2.0}, {"retry": {"attempts": 3, "delay": 2.0}}),
        ({"retry": 3}, {"retry": {"attempts": 3}}),
        ({"retries": 0}, {"retry": {"attempts": 1}}),
        (
            {"retry_config": {"max_attempts": 3, "backoff": "exponential", "max_delay": 300}},
            {"retry": {"attempts": 3, "backoff": "exponential", "max_delay": 300}},
        ),
        ({"cache": True}, {"cache": {}}),
        ({"cache": "1h"}, {"cache": {"ttl": "1h"}}),
        ({"cache": False}, {}),
        ({"depends_on": None, "when": None}, {}),
        ({"name": "Do It"}, {"description": "Do It"}),
        ({"name": "Do It", "description": "Well"}, {"description": "Do It: Well"}),
        (
            {"data_transformations": [{"type": "filter", "criteria": {"a": {"equals": 1}}}]},
            {"transform": [{"filter": {"a": {"equals": 1}}}]},
        ),
        (
            {
                "data_transformations": [
                    {"type": "aggregate", "aggregate_type": "sum", "field": "x"}
                ]
            },
            {"transform": [{"aggregate": "sum", "of": "item.x"}]},
        ),
        (
            {"transform": {"type": "map", "mapping": {"a": "b"}}},
            {"transform": [{"map": {"a": "b"}}]},
        ),
        ({"step_type": "agent_task", "agent": "x"}, {"agent": "x"}),
        (
            {"step_type": "API_CALL", "parameters": {"endpoint": "http://x", "method": "post"}},
            {"http": {"url": "http://x", "method": "POST"}},
        ),
        (
            {"step_type": "transformation", "parameters": {"transform": [{"filter": "true"}]}},
            {"transform": [{"filter": "true"}]},
        ),
        (
            {"step_type": "human_approval", "name": "Sure?", "parameters": {"timeout": "1h"}},
            {"approval": {"deadline": "1h", "message": "Sure?"}, "description": "Sure?"},
        ),
        (
            {"step_type": "sub_workflow", "parameters": {"workflow_id": "w2", "input": {"a": 1}}},
            {"workflow": "w2", "input": {"a": 1}},
        ),
        (
            {"agent": "d", "dynamic_agent": {"type": "load_balanced", "agents": ["a", "b"]}},
            {"select": {"rules": [], "agents": ["a", "b"]}},
        ),
        (
            {
                "agent": "d",
                "dynamic_agent": {
                    "type": "based_on_input",
                    "rules": [{"contains": "API", "agent": "a"}],
                },
            },
            {
                "select": {
                    "rules": [{"when": 'input.requirements.contains("API")', "agent": "a"}],
                    "agents": ["d"],
                }
            },
        ),
        ({"step_type": "magic"}, {"step_type": "magic"}),
        ({"nonsense": 1}, {"nonsense": 1}),
        ({"timeout": 1, "timeout_seconds": 2}, {"timeout": 1, "timeout_seconds": 2}),
    ],
)
def test_a_step_comes_out_canonical(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert step(**given) == {"id": "s", **expected}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"workflow_id": "w"}, {"name": "w"}),
        ({"workflow_id": "w", "name": "The W"}, {"name": "w", "description": "The W"}),
        (
            {"execution_mode": "PARALLEL", "priority": "HIGH"},
            {"mode": "parallel", "priority": "high"},
        ),
        ({"initial_context": {"a": 1}}, {"context": {"a": 1}}),
        ({"agents": ["a", "b"]}, {}),
        (
            {
                "error_handling": {
                    "continue_on_error": True,
                    "fallback_workflow": "x",
                    "max_total_retries": 10,
                }
            },
            {
                "defaults": {"on_error": "continue"},
                "fallback_workflow": "x",
                "max_total_retries": 10,
            },
        ),
        ({"error_handling": {"continue_on_error": False, "fallback_workflow": None}}, {}),
        (
            {"output": {"format": "markdown", "save_to_file": True}},
            {"save_output": "${run.id}.md"},
        ),
        ({"output": {"save_to_file": "out.json"}}, {"save_output": "out.json"}),
        ({"output": {"answer": "${a}"}}, {"output": {"answer": "${a}"}}),
        (
            {"defaults": {"retries": 2, "timeout_seconds": 5}},
            {"defaults": {"retry": {"attempts": 2}, "timeout": 5}},
        ),
        (
            {"triggers": [{"run_at": "2026-01-01T00:00:00Z"}]},
            {"triggers": [{"at": "2026-01-01T00:00:00Z"}]},
        ),
    ],
)
def test_a_workflow_comes_out_canonical(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert canonicalize(given)[0] == expected


def test_all_outputs_are_included_if_asked_for() -> None:
    data = {"steps": [{"id": "a"}, {"id": "b-c"}], "output": {"include_agent_outputs": True}}
    assert canonicalize(data)[0]["output"] == {"a": "${a}", "b-c": '${steps["b-c"].output}'}


def test_the_document_is_never_changed() -> None:
    data = {
        "workflow_id": "w",
        "name": "n",
        "tasks": [{"name": "A b", "retries": 3, "loop": {"tasks": [{"task": "x"}]}}],
        "error_handling": {"continue_on_error": True},
    }
    before = copy.deepcopy(data)
    canonicalize(data)
    assert data == before


def test_ids_are_made_of_what_a_step_does_and_are_unique() -> None:
    steps: list[dict[str, Any]] = [
        {"agent": "r", "action": "research", "output_to": "strategy"},
        {"agent": "r", "action": "research"},
        {"agent": "r", "action": "research"},
        {"agent": "r"},
        {"loop": {"steps": []}},
        {"id": "research"},
        {"action": "run"},
    ]
    made = canonicalize({"steps": steps})[0]["steps"]
    assert [s["id"] for s in made] == [
        "strategy",
        "research_2",
        "research_3",
        "r",
        "loop",
        "research",
        "run_step",
    ]
    assert "output_to" not in made[0]


def test_dependencies_on_names_become_dependencies_on_ids() -> None:
    steps = [{"name": "Fetch Data"}, {"name": "Use It", "dependencies": ["Fetch Data"]}]
    made = canonicalize({"steps": steps})[0]["steps"]
    assert made[0]["id"] == "Fetch_Data"
    assert made[1]["depends_on"] == ["Fetch_Data"]


def test_aliases_hold_inside_containers_and_paths_lead_back_to_the_source() -> None:
    data = {
        "tasks": [
            {
                "step_id": "c",
                "branch": {
                    "on": "x",
                    "cases": {"a b": [{"step_id": "d", "parameters": {"p": 1}}]},
                    "default": {"tasks": [{"step_id": "e", "retries": 2}]},
                },
            }
        ]
    }
    canonical, moved = canonicalize(data)
    branch = canonical["steps"][0]["branch"]
    assert branch["cases"]["a b"]["steps"] == [{"id": "d", "params": {"p": 1}}]
    assert branch["default"]["steps"] == [{"id": "e", "retry": {"attempts": 2}}]
    inside = 'steps[0].branch.cases["a b"].steps[0].params.p'
    assert source_path(inside, moved) == 'tasks[0].branch.cases["a b"][0].parameters.p'
    default = "steps[0].branch.default.steps[0].retry.attempts"
    assert source_path(default, moved) == "tasks[0].branch.default.tasks[0].retries"


def test_defaults_of_workflows_are_read_from_settings() -> None:
    document = {
        "ai": {"workflows": {"discovery": {"default_symbols": ["BTC/EUR"], "min_confidence": 0.7}}},
        "stretto": {"workflows": {"discovery": {"min_confidence": 0.9}, "x": {"a": 1}}},
    }
    assert workflow_defaults(document) == {
        "discovery": {"symbols": ["BTC/EUR"], "min_confidence": 0.9},
        "x": {"a": 1},
    }
