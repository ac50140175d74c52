"""Definitions out of the five reference guides, as data, load as they stand there."""

from typing import Any

import pytest

from stretto.graphs.aliases import workflow_defaults
from stretto.graphs.documents import parse_document
from stretto.graphs.loading import load_document, load_text
from stretto.graphs.spec import Workflow
from stretto.graphs.topology import needs_of


def needs(flow: Workflow) -> dict[str, tuple[str, ...]]:
    return needs_of(flow.steps)


# TC: coordinator of trading agents


def test_tc_steps_without_ids_flow_by_input_from_and_output_to() -> None:
    flow = load_document(
        {
            "name": "my_custom_workflow",
            "description": "My custom workflow description",
            "steps": [
                {
                    "agent": "research_agent",
                    "action": "research_strategy",
                    "output_to": "strategy",
                    "params": {
                        "objective": "Find profitable strategy",
                        "symbols": ["BTC/EUR"],
                        "timeframe": "1h",
                    },
                },
                {
                    "agent": "risk_agent",
                    "action": "validate_risk",
                    "input_from": "strategy",
                    "output_to": "risk_validation",
                },
            ],
            "agents": ["research_agent", "risk_agent"],
            "initial_context": {
                "user_id": "trader_123",
                "risk_tolerance": "medium",
                "max_drawdown": -0.20,
            },
        }
    )
    assert needs(flow) == {"strategy": (), "risk_validation": ("strategy",)}
    assert flow.steps[0].params["symbols"] == ["BTC/EUR"]
    assert flow.steps[1].action == "validate_risk"
    assert flow.context == {
        "user_id": "trader_123",
        "risk_tolerance": "medium",
        "max_drawdown": -0.2,
    }


def test_tc_steps_without_inputs_run_beside_each_other() -> None:
    steps = [
        {
            "agent": "research_agent",
            "action": "research_strategy",
            "output_to": f"{symbol}_analysis",
            "params": {"symbols": [f"{symbol.upper()}/EUR"]},
        }
        for symbol in ("btc", "eth", "ltc")
    ]
    flow = load_document(
        {"name": "parallel_analysis", "steps": steps, "agents": ["research_agent"]}
    )
    assert needs(flow) == {"btc_analysis": (), "eth_analysis": (), "ltc_analysis": ()}


def test_tc_a_step_without_id_and_output_is_named_by_its_action() -> None:
    step = {"agent": "mock_agent", "action": "test_action"}
    flow = load_document({"name": "test_workflow", "steps": [step, step], "agents": ["mock_agent"]})
    assert [step.id for step in flow.steps] == ["test_action", "test_action_2"]


def test_tc_defaults_of_workflows_in_toml() -> None:
    text = """
    # config/ai.toml
    [ai.workflows.strategy_discovery]
    default_symbols = ["BTC/EUR"]
    default_timeframe = "1h"
    min_confidence = 0.75
    """
    assert workflow_defaults(parse_document(text, "toml").data) == {
        "strategy_discovery": {"symbols": ["BTC/EUR"], "timeframe": "1h", "min_confidence": 0.75}
    }


# CB: chatbot backend

LEAD_STEPS: list[dict[str, Any]] = [
    {
        "step_id": "qualify_lead",
        "name": "Qualify Lead",
        "step_type": "agent_task",
        "agent_type": "sales",
        "task": "qualify_lead",
        "parameters": {"priority": "high"},
    },
    {
        "step_id": "enrich_lead",
        "name": "Enrich Lead Data",
        "step_type": "agent_task",
        "agent_type": "research",
        "task": "enrich_lead",
        "depends_on": ["qualify_lead"],
    },
]


@pytest.mark.parametrize(
    ("head", "name", "description"),
    [
        (
            {"name": "Lead Processing", "description": "Process and qualify new leads"},
            "Lead Processing",
            "Process and qualify new leads",
        ),
        (
            {"workflow_id": "lead_processing", "name": "Lead Processing Workflow"},
            "lead_processing",
            "Lead Processing Workflow",
        ),
    ],
)
def test_cb_lead_processing(head: dict[str, str], name: str, description: str) -> None:
    flow = load_document({**head, "steps": LEAD_STEPS})
    assert (flow.name, flow.id, flow.description) == (name, "lead_processing", description)
    assert needs(flow) == {"qualify_lead": (), "enrich_lead": ("qualify_lead",)}
    first = flow.steps[0]
    assert (first.agent, first.action, first.params) == (
        "sales",
        "qualify_lead",
        {"priority": "high"},
    )
    assert first.description == "Qualify Lead"


def test_cb_every_type_of_step() -> None:
    steps = [
        {
            "step_id": "fetch",
            "step_type": "api_call",
            "parameters": {
                "url": "https://api.example.com/leads",
                "method": "POST",
                "json": {"a": 1},
            },
        },
        {
            "step_id": "shape",
            "step_type": "transformation",
            "depends_on": ["fetch"],
            "parameters": {"input": "${fetch.body}", "transform": [{"filter": "item.ok"}]},
        },
        {
            "step_id": "approve",
            "step_type": "human_approval",
            "depends_on": ["shape"],
            "parameters": {"message": "Publish?", "options": ["yes", "no"], "timeout": "24h"},
        },
        {
            "step_id": "nested",
            "step_type": "sub_workflow",
            "depends_on": ["approve"],
            "parameters": {"workflow_id": "account_analysis", "input": {"account_id": "ACC-1"}},
        },
    ]
    flow = load_document({"name": "kinds", "steps": steps})
    assert [step.kind for step in flow.steps] == ["http", "transform", "approval", "workflow"]
    fetch, shape, approve, nested = flow.steps
    assert fetch.http is not None
    assert (fetch.http.method, fetch.http.json_) == ("POST", {"a": 1})
    assert shape.input == "${fetch.body}"
    assert approve.approval is not None
    assert (approve.approval.options, approve.approval.deadline) == (("yes", "no"), 86400)
    assert (nested.workflow, nested.input) == ("account_analysis", {"account_id": "ACC-1"})


# TW: task workflows


def test_tw_tasks_in_sequence() -> None:
    flow = load_document(
        {
            "name": "data-processing",
            "tasks": [
                {
                    "id": "extract",
                    "agent": "agent-etl-pipeline",
                    "config": {"source": "database", "query": "SELECT * FROM users"},
                },
                {"id": "transform", "agent": "agent-data-transformer", "depends_on": ["extract"]},
                {
                    "id": "load",
                    "agent": "agent-data-loader",
                    "depends_on": ["transform"],
                    "config": {"destination": "warehouse"},
                },
            ],
        }
    )
    assert needs(flow) == {"extract": (), "transform": ("extract",), "load": ("transform",)}
    assert flow.steps[0].params == {"source": "database", "query": "SELECT * FROM users"}


def test_tw_fan_out_and_fan_in() -> None:
    ids = ["process-a", "process-b", "process-c"]
    tasks: list[dict[str, Any]] = [{"id": task, "agent": "agent-processor"} for task in ids]
    tasks.append({"id": "aggregate", "agent": "agent-aggregator", "depends_on": ids})
    flow = load_document({"name": "parallel-processing", "tasks": tasks})
    assert needs(flow)["aggregate"] == tuple(ids)


def test_tw_conditions() -> None:
    flow = load_document(
        {
            "name": "conditional-workflow",
            "tasks": [
                {"id": "validate", "agent": "agent-validator"},
                {
                    "id": "process-success",
                    "agent": "agent-processor",
                    "depends_on": ["validate"],
                    "condition": "validate.result == 'valid'",
                },
                {
                    "id": "handle-failure",
                    "agent": "agent-error-handler",
                    "depends_on": ["validate"],
                    "condition": "validate.result == 'invalid'",
                },
            ],
        }
    )
    assert [step.when for step in flow.steps] == [
        None,
        "validate.result == 'valid'",
        "validate.result == 'invalid'",
    ]


def test_tw_retries_and_schedules() -> None:
    retry = {"max_attempts": 3, "backoff": "exponential", "max_delay": 300}
    flow = load_document(
        {
            "name": "w",
            "tasks": [{"id": "process", "agent": "agent-processor", "retry_config": retry}],
            "triggers": [
                {"cron": "0 2 * * *", "timezone": "UTC"},
                {"run_at": "2025-12-31T12:00:00Z"},
            ],
        }
    )
    policy = flow.steps[0].retry
    assert policy is not None
    assert (policy.attempts, policy.backoff, policy.max_delay) == (3, "exponential", 300)
    assert len(flow.triggers) == 2


def test_tw_saga() -> None:
    flow = load_document(
        {
            "name": "saga-workflow",
            "tasks": [
                {"id": "book-flight", "agent": "agent-booking"},
                {"id": "book-hotel", "agent": "agent-booking", "depends_on": ["book-flight"]},
                {"id": "charge", "agent": "agent-payment", "depends_on": ["book-hotel"]},
            ],
            "on_failure": [
                {"id": "cancel-hotel", "agent": "agent-cancellation"},
                {"id": "cancel-flight", "agent": "agent-cancellation"},
            ],
        }
    )
    assert [step.id for step in flow.on_failure] == ["cancel-hotel", "cancel-flight"]


# PW: phase workflows

PHASES: list[dict[str, Any]] = [
    {"name": "planning", "agent": "planner_agent", "timeout": 120, "retries": 2},
    {
        "name": "design",
        "agent": "designer_agent",
        "timeout": 180,
        "retries": 3,
        "depends_on": ["planning"],
    },
    {
        "name": "implementation",
        "agent": "coder_agent",
        "timeout": 300,
        "retries": 3,
        "depends_on": ["design"],
    },
    {
        "name": "review",
        "agent": "reviewer_agent",
        "timeout": 120,
        "retries": 1,
        "depends_on": ["implementation"],
    },
]
CONFIG: dict[str, Any] = {
    "name": "your_workflow",
    "description": "Description of what your workflow does",
    "version": "1.0.0",
    "agents": ["planner_agent", "designer_agent", "coder_agent", "reviewer_agent"],
    "phases": PHASES,
    "error_handling": {
        "continue_on_error": False,
        "fallback_workflow": None,
        "max_total_retries": 10,
    },
    "output": {"format": "structured", "include_agent_outputs": True, "save_to_file": True},
}


def test_pw_configuration() -> None:
    flow = load_document(CONFIG)
    assert list(needs(flow)) == ["planning", "design", "implementation", "review"]
    assert [step.timeout for step in flow.steps] == [120, 180, 300, 120]
    assert [step.retry.attempts for step in flow.steps if step.retry] == [2, 3, 3, 1]
    assert (flow.max_total_retries, flow.fallback_workflow) == (10, None)
    assert flow.defaults.on_error is None
    assert flow.save_output == "${run.id}.json"
    assert flow.output == {name: f"${{{name}}}" for name in needs(flow)}


def test_pw_continue_on_error() -> None:
    handling = {"continue_on_error": True, "fallback_workflow": "account_analysis"}
    flow = load_document({**CONFIG, "error_handling": handling})
    assert flow.defaults.on_error == "continue"
    assert flow.fallback_workflow == "account_analysis"


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "result_contains", "phase": "planning", "value": "API"},
        {"type": "error_count", "max_errors": 3},
    ],
)
def test_pw_typed_conditions(condition: dict[str, Any]) -> None:
    phases = [PHASES[0], {**PHASES[1], "condition": condition}]
    flow = load_document({"name": "w", "phases": phases})
    assert flow.steps[1].when == condition


def test_pw_agents_chosen_by_load_and_by_input() -> None:
    balanced = {"type": "load_balanced", "agents": ["coder_a", "coder_b"]}
    by_input = {
        "type": "based_on_input",
        "rules": [
            {"contains": "API", "agent": "api_specialist_agent"},
            {"contains": "UI", "agent": "ui_specialist_agent"},
        ],
        "default": "general_coder_agent",
    }
    phases = [
        {"name": "a", "agent": "coder", "dynamic_agent": balanced},
        {"name": "b", "dynamic_agent": by_input},
    ]
    first, second = load_document({"name": "w", "phases": phases}).steps
    assert first.select is not None and second.select is not None
    assert (first.agent, first.select.agents) == (None, ("coder_a", "coder_b"))
    assert second.select.agents == ("general_coder_agent",)
    assert [rule.when for rule in second.select.rules] == [
        'input.requirements.contains("API")',
        'input.requirements.contains("UI")',
    ]


# DE: dynamic engine

ANALYSIS_STEPS: list[dict[str, Any]] = [
    {
        "step_id": "fetch_account_data",
        "name": "Fetch Account Data",
        "description": "Retrieve account information from Zoho CRM",
        "agent_type": "zoho_scout",
        "agent_capability": "data_fetch",
        "estimated_duration": 5.0,
        "timeout_seconds": 30,
        "retry_count": 3,
    },
    {
        "step_id": "analyze_risk",
        "name": "Analyze Risk Factors",
        "agent_type": "risk_analyzer",
        "agent_capability": "analysis",
        "dependencies": ["fetch_account_data"],
        "estimated_duration": 3.0,
        "timeout_seconds": 30,
    },
    {
        "step_id": "get_historical_context",
        "name": "Get Historical Context",
        "agent_type": "memory_analyst",
        "agent_capability": "memory",
        "dependencies": ["fetch_account_data"],
        "estimated_duration": 2.0,
        "timeout_seconds": 30,
    },
    {
        "step_id": "generate_recommendations",
        "name": "Generate Recommendations",
        "agent_type": "recommender",
        "agent_capability": "recommendation",
        "dependencies": ["analyze_risk", "get_historical_context"],
        "estimated_duration": 4.0,
        "timeout_seconds": 30,
    },
]


def test_de_account_analysis() -> None:
    flow = load_document(
        {
            "name": "Account Analysis Workflow",
            "description": "Complete account analysis with risk assessment",
            "steps": ANALYSIS_STEPS,
            "priority": "HIGH",
            "execution_mode": "ADAPTIVE",
            "max_parallel_steps": 5,
            "context": {"account_id": "ACC-12345"},
        }
    )
    assert (flow.priority, flow.mode, flow.max_parallel_steps) == ("high", "adaptive", 5)
    assert [step.id for step in flow.critical_path()] == [
        "fetch_account_data",
        "analyze_risk",
        "generate_recommendations",
    ]
    first = flow.steps[0]
    assert (first.agent, first.capability, first.timeout) == ("zoho_scout", "data_fetch", 30)
    assert first.retry is not None and first.retry.attempts == 3
    assert first.description == "Fetch Account Data: Retrieve account information from Zoho CRM"


def test_de_transformations() -> None:
    flow = load_document(
        {
            "name": "w",
            "steps": [
                {
                    "step_id": "fetch_raw_data",
                    "agent_type": "data_fetcher",
                    "data_transformations": [
                        {"type": "filter", "criteria": {"status": {"equals": "active"}}}
                    ],
                },
                {
                    "step_id": "process_data",
                    "agent_type": "processor",
                    "dependencies": ["fetch_raw_data"],
                    "data_transformations": [
                        {"type": "map", "mapping": {"records": "processed_records"}},
                        {"type": "aggregate", "aggregate_type": "sum"},
                    ],
                },
            ],
        }
    )
    done = [[t.model_dump(exclude_none=True) for t in step.transform] for step in flow.steps]
    assert done == [
        [{"filter": {"status": {"equals": "active"}}}],
        [{"map": {"records": "processed_records"}}, {"aggregate": "sum"}],
    ]


def test_de_retries_with_a_delay() -> None:
    step = {
        "step_id": "critical_step",
        "name": "Critical Step",
        "agent_type": "specialist",
        "agent_capability": "analysis",
        "timeout_seconds": 60,
        "retry_count": 5,
        "retry_delay": 2.0,
    }
    policy = load_document({"name": "w", "steps": [step]}).steps[0].retry
    assert policy is not None
    assert (policy.attempts, policy.delay) == (5, 2.0)


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_documented_definitions_load_from_text_too(format: str) -> None:
    text = """
    {"name": "w", "phases": [{"name": "planning", "agent": "planner_agent", "retries": 2}],
     "error_handling": {"continue_on_error": true}}
    """
    flow = load_text(text, format)
    assert (flow.steps[0].id, flow.defaults.on_error) == ("planning", "continue")


def test_documented_definitions_load_from_toml_too() -> None:
    text = """
    workflow_id = "w"
    [[tasks]]
    id = "extract"
    agent = "agent-etl-pipeline"
    config = {source = "database"}
    retry_config = {max_attempts = 3}
    """
    flow = load_text(text, "toml")
    assert flow.steps[0].params == {"source": "database"}
