import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.registry import AgentRegistry
from stretto.errors import Fault
from stretto.graphs.limits import Limits
from stretto.graphs.spec import Workflow
from stretto.graphs.validation import find_faults


def workflow(*steps: dict[str, Any], **whole: Any) -> Workflow:
    return Workflow.model_validate({"name": "w", "steps": steps, **whole})


def step(id: str, *needs: str, **rest: Any) -> dict[str, Any]:
    kinds = {"loop", "branch", "map", "workflow", "approval", "http", "agent", "select"}
    kinds |= {"capability", "transform", "agentless"}
    called = {} if kinds & set(rest) else {"agent": "x"}
    rest.pop("agentless", None)
    return {"id": id, "depends_on": needs, **called, **rest}


def found(flow: Workflow, **options: Any) -> list[tuple[str, str]]:
    return [(fault.code, fault.path) for fault in find_faults(flow, **options)]


def fault(flow: Workflow, **options: Any) -> Fault:
    (only,) = find_faults(flow, **options)
    return only


def asking(**approval: Any) -> dict[str, Any]:
    return {"message": "?", **approval}


def request(**http: Any) -> Workflow:
    return workflow(step("a", http={"url": "https://x.example/", **http}))


CASE = {"steps": [{"id": "inner", "agent": "x"}]}
LOOP = {"until": "true", "max_iterations": 3}
OUT = {"agent": "y"}


@pytest.mark.parametrize(
    ("flow", "code", "path"),
    [
        (workflow(step("a"), step("a")), "duplicate_id", "steps[1].id"),
        (workflow(step("a"), step("b", "c")), "unknown_step", "steps[1].depends_on[0]"),
        (workflow(step("a", input_from="b")), "unknown_step", "steps[0].input_from"),
        (workflow(step("a", input_from=["b"])), "unknown_step", "steps[0].input_from[0]"),
        (workflow(step("a", "a")), "self_dependency", "steps[0].depends_on[0]"),
        (
            workflow(step("a", output_to="b"), step("b")),
            "duplicate_output",
            "steps[0].output_to",
        ),
        (
            workflow(step("a", output_to="c"), step("b", output_to="c")),
            "duplicate_output",
            "steps[1].output_to",
        ),
        (workflow(step("input")), "reserved_name", "steps[0].id"),
        (workflow(step("a", output_to="event")), "reserved_name", "steps[0].output_to"),
        (
            workflow(step("m", map={"over": "input.x", "as": "run", "agent": "x"})),
            "reserved_name",
            "steps[0].map.as",
        ),
        (workflow(step("a", "b"), step("b", "a")), "cycle", "steps[0].depends_on"),
        (
            workflow(step("l", loop={**LOOP, "steps": [step("a", "b"), step("b", "a")]})),
            "cycle",
            "steps[0].loop.steps[0].depends_on",
        ),
        (workflow(step("a", when="input.x =")), "bad_expression", "steps[0].when"),
        (workflow(step("a", when={"type": "odd"})), "bad_expression", "steps[0].when"),
        (workflow(step("a", params={"p": ["${1 +}"]})), "bad_expression", "steps[0].params.p[0]"),
        (workflow(step("a", when="inptu.x")), "unknown_name", "steps[0].when"),
        (workflow(step("a", when='steps["b"].x == 1')), "unknown_name", "steps[0].when"),
        (workflow(step("a"), step("b", when="a.x")), "not_yet_available", "steps[1].when"),
        (
            workflow(step("a-b"), step("c", params={"p": '${steps["a-b"].x}'})),
            "not_yet_available",
            "steps[1].params.p",
        ),
        (
            workflow(step("l", loop={**LOOP, "steps": [step("a")]}), step("b", "l", when="a.x")),
            "unknown_name",
            "steps[1].when",
        ),
        (workflow(step("a"), output={"x": "${b.y}"}), "unknown_name", "output.x"),
        (workflow(step("a"), save_output="${a}/${b}.json"), "unknown_name", "save_output"),
        (
            workflow(step("a"), triggers=[{"event": "e", "when": "input.x"}]),
            "unknown_name",
            "triggers[0].when",
        ),
        (
            workflow(step("a"), triggers=[{"cron": "0 2 * * *", "input": {"a": "${event.x}"}}]),
            "unknown_name",
            "triggers[0].input.a",
        ),
        (
            workflow(step("a", on_error={"fallback": {"x": "${a.y}"}})),
            "unknown_name",
            "steps[0].on_error.fallback.x",
        ),
        (
            workflow(step("a", http={"url": "http://x/${b}", "json": {"a": 1}})),
            "unknown_name",
            "steps[0].http.url",
        ),
        (
            workflow(step("a", http={"url": "http://x", "json": {"a": "${b}"}})),
            "unknown_name",
            "steps[0].http.json.a",
        ),
        (
            workflow(step("a", approval={"message": "Do ${b}?"})),
            "unknown_name",
            "steps[0].approval.message",
        ),
        (
            workflow(step("a", select={"rules": [{"when": "b.x", "agent": "y"}]})),
            "unknown_name",
            "steps[0].select.rules[0].when",
        ),
        (
            workflow(step("b", branch={"on": "q.x", "cases": {"a": {"steps": [step("a")]}}})),
            "unknown_name",
            "steps[0].branch.on",
        ),
        (
            workflow(step("m", map={"over": "${q.x}", "agent": "y"})),
            "unknown_name",
            "steps[0].map.over",
        ),
        (
            workflow(step("l", loop={**LOOP, "until": "q.x", "steps": [step("a")]})),
            "unknown_name",
            "steps[0].loop.until",
        ),
        (
            workflow(step("a", compensate={"agent": "y", "params": {"p": "${b}"}})),
            "unknown_name",
            "steps[0].compensate.params.p",
        ),
        (
            workflow(step("a"), on_failure=[step("f", params={"p": "${g}"})]),
            "unknown_name",
            "on_failure[0].params.p",
        ),
        (workflow(step("a", when="false")), "unreachable_step", "steps[0].when"),
        (
            workflow(
                step(
                    "b",
                    branch={
                        "on": "'x'",
                        "cases": {"x": CASE, "y z": CASE},
                    },
                )
            ),
            "unreachable_case",
            'steps[0].branch.cases["y z"]',
        ),
        (
            workflow(
                step("b", branch={"on": "input.x > 3", "cases": {"big": {"steps": [step("a")]}}})
            ),
            "unreachable_case",
            "steps[0].branch.cases.big",
        ),
        (
            workflow(
                step("b", branch={"on": "${input.k}", "cases": {"c": {"steps": [step("a")]}}}),
                inputs={"k": {"enum": ["a", "b"]}},
            ),
            "unreachable_case",
            "steps[0].branch.cases.c",
        ),
        (
            workflow(
                step(
                    "b",
                    branch={
                        "on": "input.k",
                        "cases": {"true": {"steps": [step("a")]}, "false": {"steps": [step("c")]}},
                        "default": {"steps": [step("d")]},
                    },
                ),
                inputs={"k": "boolean"},
            ),
            "unreachable_case",
            "steps[0].branch.default",
        ),
        (
            workflow(step("m", map={"over": "'abc'", "agent": "y"})),
            "not_a_list",
            "steps[0].map.over",
        ),
        (
            workflow(step("m", map={"over": "input.x", "agent": "y"}), inputs={"x": "string"}),
            "not_a_list",
            "steps[0].map.over",
        ),
        (
            workflow(
                step("m", map={"over": f"[{'1,' * 101}1]", "agent": "y"}),
            ),
            "too_many_items",
            "steps[0].map.over",
        ),
        (
            workflow(step("a", approval={"message": "?"}, compensate=OUT)),
            "no_compensation_possible",
            "steps[0].compensate",
        ),
        (
            workflow(step("l", loop={**LOOP, "steps": [step("a")]}, compensate=OUT)),
            "no_compensation_possible",
            "steps[0].compensate",
        ),
        (
            workflow(step("t", transform=[{"filter": "true"}], compensate=OUT)),
            "no_compensation_possible",
            "steps[0].compensate",
        ),
        (
            workflow(step("l", loop={**LOOP, "steps": [step("a")]}, retry={"attempts": 2})),
            "no_effect",
            "steps[0].retry",
        ),
        (
            workflow(step("m", map={"over": "[1]", "cache": {"ttl": 1}, "steps": [step("a")]})),
            "no_effect",
            "steps[0].map.cache",
        ),
        (workflow(step("a", agent="x", http={"url": "http://x"})), "several_kinds", "steps[0]"),
        (workflow(step("a", agent="x", select={"agents": ["y"]})), "several_kinds", "steps[0]"),
        (
            workflow(step("m", map={"over": "input.x", "agent": "y", "steps": [step("a")]})),
            "several_kinds",
            "steps[0].map",
        ),
        (workflow(step("a", agentless=True)), "no_kind", "steps[0]"),
        (workflow(step("a", select={})), "no_kind", "steps[0].select"),
        (workflow(step("m", map={"over": "input.x"})), "no_kind", "steps[0].map"),
        (workflow(step("a"), triggers=[{"cron": "often"}]), "bad_cron", "triggers[0].cron"),
        (
            workflow(step("a"), triggers=[{"cron": "0 2 * * *", "timezone": "Mars/Base"}]),
            "bad_timezone",
            "triggers[0].timezone",
        ),
        (
            workflow(step("a", transform=[{"filter": "item. >"}])),
            "bad_transform",
            "steps[0].transform[0].filter",
        ),
        (
            workflow(step("a", approval=asking(deadline="1h", on_deadline="rejct"))),
            "bad_default",
            "steps[0].approval.on_deadline",
        ),
        (
            workflow(step("a", approval={"message": "?", "options": []})),
            "no_options",
            "steps[0].approval.options",
        ),
        (
            workflow(step("a", approval=asking(on_deadline="reject"))),
            "no_effect",
            "steps[0].approval.on_deadline",
        ),
        (
            workflow(step("a", approval=asking(deadline=0))),
            "no_time",
            "steps[0].approval.deadline",
        ),
        (
            workflow(step("a", approval=asking(deadline="1h", remind_after="1h"))),
            "bad_reminder",
            "steps[0].approval.remind_after",
        ),
        (
            workflow(step("a", approval=asking(remind_every="20ms"))),
            "bad_reminder",
            "steps[0].approval.remind_every",
        ),
        (
            workflow(step("a", approval=asking(edit="${b}"))),
            "unknown_name",
            "steps[0].approval.edit",
        ),
        (
            workflow(step("a", approval=asking(edit_schema={"type": "object"}))),
            "no_effect",
            "steps[0].approval.edit_schema",
        ),
        (
            workflow(step("a", approval=asking(edit="x", edit_schema={"type": "objekt"}))),
            "bad_schema",
            "steps[0].approval.edit_schema",
        ),
        (
            workflow(step("a", approval=asking(edit="x", edit_schema={"$ref": "http://e/x"}))),
            "bad_schema",
            "steps[0].approval.edit_schema",
        ),
        (request(url="ftp://x/y"), "bad_url", "steps[0].http.url"),
        (request(url="x.example/y"), "bad_url", "steps[0].http.url"),
        (request(url="https://"), "bad_url", "steps[0].http.url"),
        (request(url="https://me:word@x.example/"), "bad_url", "steps[0].http.url"),
        (request(url="https://[::1/"), "bad_url", "steps[0].http.url"),
        (request(url="http://x.example:99999/"), "bad_url", "steps[0].http.url"),
        (request(url="http://x.example:http/"), "bad_url", "steps[0].http.url"),
        (request(url="http://x.example:99999/${input.id}"), "bad_url", "steps[0].http.url"),
        (request(url="gopher://${input.host}/"), "bad_url", "steps[0].http.url"),
        (request(url="//${input.host}/"), "bad_url", "steps[0].http.url"),
        (request(url="https://me@x.example/${input.id}"), "bad_url", "steps[0].http.url"),
        (request(select="body.items["), "bad_expression", "steps[0].http.select"),
        (request(select="input.x"), "unknown_name", "steps[0].http.select"),
        (request(select="steps['a'].output"), "unknown_name", "steps[0].http.select"),
        (request(json=1, body="x"), "conflicting_keys", "steps[0].http.body"),
        (request(body="secret://KEY"), "bad_secret", "steps[0].http.body"),
        (request(json={"a": ["secret://KEY"]}), "bad_secret", "steps[0].http.json.a[0]"),
        (request(query={"key": "secret://KEY"}), "bad_secret", "steps[0].http.query.key"),
        (
            request(headers={"X": "secret://KEY ${input.a}"}),
            "bad_secret",
            "steps[0].http.headers.X",
        ),
        (request(headers={"X": "secret://${input.a}"}), "bad_secret", "steps[0].http.headers.X"),
        (request(headers={"X": "secret://"}), "bad_secret", "steps[0].http.headers.X"),
        (workflow(step("a", timeout=0)), "no_time", "steps[0].timeout"),
        (workflow(step("a"), timeout="0s"), "no_time", "timeout"),
        (workflow(step("a"), defaults={"timeout": 0}), "no_time", "defaults.timeout"),
        (
            workflow(step("m", map={"over": "input.x", "agent": "y", "timeout": 0})),
            "no_time",
            "steps[0].map.timeout",
        ),
        (workflow(step("a"), inputs={"x": "strang"}), "bad_schema", "inputs.x"),
        (workflow(step("a"), inputs={"x": {"type": 5}}), "bad_schema", "inputs.x.type"),
        (workflow(step("a"), inputs={"x": {"$ref": "http://e/x"}}), "bad_schema", "inputs"),
        (workflow(step("a"), inputs={"x": {"$ref": "#/$defs/x"}}), "bad_schema", "inputs"),
        (workflow(step("a"), save_output="/etc/x"), "bad_save_path", "save_output"),
        (workflow(step("a"), save_output="a/../../x"), "bad_save_path", "save_output"),
        (workflow(step("a"), save_output="C:\\x"), "bad_save_path", "save_output"),
        (workflow(step("a", workflow="no_such")), "unknown_workflow", "steps[0].workflow"),
        (workflow(step("a"), fallback_workflow="no_such"), "unknown_workflow", "fallback_workflow"),
        (workflow(step("a", workflow="w@1")), "cycle", "steps[0].workflow"),
        (workflow(*(step(f"s{i}") for i in range(501))), "too_many_steps", "steps"),
        (workflow(step("a", params={"p": "x" * 1_000_001})), "too_large", ""),
        (workflow(step("a"), step("b", params={"p": "\ud800"})), "not_json", "steps[1]"),
        (workflow(step("a"), context={"p": "\ud800"}), "not_json", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_has_its_code_and_path(flow: Workflow, code: str, path: str) -> None:
    limits = Limits(items=100) if code == "too_many_items" else Limits()
    assert found(flow, limits=limits) == [(code, path)]


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/${input.id}",
        "HTTPS://x.example",
        "http://${input.host}/x",
        "${input.url}",
        "http${input.rest}",
    ],
)
def test_a_url_that_may_be_right_is_no_fault(url: str) -> None:
    assert found(request(url=url, headers={"A": "Bearer secret://A_1 secret://B"})) == []


def test_containers_inside_each_other_have_a_bound() -> None:
    inner = step("a")
    for level in range(51):
        inner = step(f"l{level}", loop={**LOOP, "steps": [inner]})
    assert fault(workflow(inner)).code == "too_deep"


def test_a_cycle_is_shown_in_the_order_in_which_steps_would_run() -> None:
    flow = workflow(step("a", "c"), step("b", "a"), step("c", "b"))
    assert "a -> b -> c -> a" in fault(flow).message


def test_a_wrong_name_comes_with_the_nearest_one() -> None:
    assert fault(workflow(step("fetch"), step("b", "fetsh"))).nearest == "fetch"
    assert fault(workflow(step("fetch"), step("b", "fetch", when="fetsh.x"))).nearest == "fetch"
    flow = workflow(step("a", approval=asking(deadline="1h", on_deadline="rejct")))
    assert fault(flow).nearest == "reject"


def test_a_fault_in_an_expression_says_where_in_it() -> None:
    assert "column" in fault(workflow(step("a", when="input.x ==== 3"))).message


def test_what_is_not_there_yet_says_to_depend_on_it() -> None:
    assert "depends_on" in fault(workflow(step("a"), step("b", when="a.x"))).message


def test_what_needs_a_step_that_never_runs_never_runs_either() -> None:
    flow = workflow(
        step("a", when="1 > 2"),
        step("b", "a"),
        step("c", "b", join="done"),
        step("d"),
        step("e", "a", "d", join="any"),
    )
    assert found(flow) == [("unreachable_step", "steps[0].when"), ("unreachable_step", "steps[1]")]


def test_names_reach_into_containers_but_not_out_of_them() -> None:
    flow = workflow(
        step("plan", output_to="the_plan"),
        step(
            "each",
            "plan",
            map={
                "over": "plan.items",
                "as": "lead",
                "steps": [
                    step("one", params={"a": "${lead.x} ${index} ${the_plan.y} ${input.z}"}),
                    step(
                        "refine",
                        "one",
                        loop={
                            "until": "check.ok && iteration > 1 && one.x",
                            "max_iterations": 2,
                            "steps": [
                                step("draft", params={"p": "${iteration} ${lead} ${one} ${plan}"}),
                                step("check", "draft", when="draft.x"),
                            ],
                        },
                    ),
                ],
            },
        ),
        step("undoable", "each", compensate={"agent": "y", "params": {"p": "${undoable} ${each}"}}),
        on_failure=[step("f", params={"p": "${plan} ${undoable}"})],
        output="${undoable.x} ${each}",
        triggers=[{"event": "e", "when": "event.a == 1", "input": {"x": "${event.b}"}}],
    )
    assert found(flow) == []


def test_an_item_is_not_known_outside_its_map() -> None:
    flow = workflow(step("m", map={"over": "input.x", "agent": "y"}), step("b", "m", when="item.x"))
    assert found(flow) == [("unknown_name", "steps[1].when")]


def test_an_agent_beside_a_capability_is_one_call() -> None:
    assert found(workflow(step("a", agent="x", capability="analysis"))) == []


def nothing(task: Task) -> None:
    pass


def people() -> AgentRegistry:
    scout = FunctionAgent(nothing, name="scout", capabilities={"data_fetch"})
    return AgentRegistry([scout, FunctionAgent(nothing, name="writer")])


def test_agents_and_capabilities_that_nobody_offers_are_faults_when_there_is_a_registry() -> None:
    flow = workflow(
        step("a", agent="scuot"),
        step("b", capability="data_fetsh"),
        step("c", agent="writer", compensate={"agent": "z"}, on_error={"agent": "q"}),
        step("d", select={"agents": ["scout", "p"], "rules": [{"when": "true", "agent": "r"}]}),
        step("e", map={"over": "input.x", "capability": "k"}),
    )
    assert found(flow) == []
    assert found(flow, agents=people()) == [
        ("unknown_agent", "steps[0].agent"),
        ("unknown_capability", "steps[1].capability"),
        ("unknown_agent", "steps[2].compensate.agent"),
        ("unknown_agent", "steps[2].on_error.agent"),
        ("unknown_agent", "steps[3].select.rules[0].agent"),
        ("unknown_agent", "steps[3].select.agents[1]"),
        ("unknown_capability", "steps[4].map.capability"),
    ]
    faults = find_faults(flow, agents=people())
    assert [fault.nearest for fault in faults[:2]] == ["scout", "data_fetch"]


def test_the_workflows_there_are_can_be_given() -> None:
    flow = workflow(step("a", workflow="other@1"))
    assert found(flow, workflows={"other": flow}) == []
    assert fault(flow, workflows={"othr"}).nearest == "othr"

    def find(reference: str) -> Workflow:
        return flow

    assert found(flow, workflows=find) == []


def test_faults_of_every_sort_come_together() -> None:
    flow = workflow(step("a", "b", when="x.y"), step("b", "a"), step("b"), save_output="../x")
    assert {code for code, _ in found(flow)} == {
        "duplicate_id",
        "cycle",
        "unknown_name",
        "bad_save_path",
    }


@st.composite
def flows(draw: st.DrawFn) -> Workflow:
    def body(prefix: str, depth: int, outer: list[str]) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = []
        for number in range(draw(st.integers(1, 4))):
            name = f"{prefix}{number}"
            earlier = [other["id"] for other in steps]
            needs = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
            seen = [*outer, *needs, "input", "context"]
            used = draw(st.sampled_from(seen))
            rest: dict[str, Any] = {"params": {"p": f"${{{used}.value}} and $${{x}}"}}
            if draw(st.booleans()):
                rest["when"] = f"{draw(st.sampled_from(seen))}.score >= {number}"
            kind = draw(st.sampled_from(["agent", "loop", "map", "branch", "approval"]))
            inner = f"{name}_"
            if kind == "approval" or (depth == 0 and kind != "agent"):
                rest = {"approval": {"message": f"${{{used}}}?"}}
            elif kind == "loop":
                steps_inside = body(inner, depth - 1, [*seen, "iteration"])
                until = f"{steps_inside[-1]['id']}.ok || iteration > 2"
                rest["loop"] = {"until": until, "max_iterations": 3, "steps": steps_inside}
            elif kind == "map":
                steps_inside = body(inner, depth - 1, [*seen, "item"])
                rest["map"] = {"over": f"{used}.list", "steps": steps_inside}
            elif kind == "branch":
                case = {"steps": body(inner, depth - 1, seen)}
                rest["branch"] = {"on": f"{used}.kind", "cases": {"a": case}}
            steps.append(step(name, *needs, **rest))
        return steps

    return workflow(*body("s", 2, []))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(flows())
def test_no_valid_workflow_has_a_fault(flow: Workflow) -> None:
    assert find_faults(flow) == []


def test_the_time_to_check_five_hundred_steps_does_not_explode() -> None:
    steps = [step("s0")]
    for i in range(1, 500):
        needs = [f"s{j}" for j in range(max(0, i - 3), i)]
        steps.append(step(f"s{i}", *needs, when=f"input.x >= {i}", params={"p": "${input.v}"}))
    flow = workflow(*steps)
    started = time.process_time()
    assert find_faults(flow) == []
    assert time.process_time() - started <= 1.0  # 0.3 on a quiet machine
