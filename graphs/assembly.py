"""From declared steps to step nodes: each kind gets its work, containers their subgraphs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from stretto.agents.dispatch import Gate
from stretto.errors import StepFailed
from stretto.graphs.asking import approval_work
from stretto.graphs.attempts import Result
from stretto.graphs.builder import Graph
from stretto.graphs.call import StepCall, Work
from stretto.graphs.compensation import undo_of
from stretto.graphs.containers.branch import DEFAULT_CASE, branch_work
from stretto.graphs.containers.inside import (
    check_inside,
    go_inside,
    inner_frame,
    partly_done,
)
from stretto.graphs.containers.loop import loop_work
from stretto.graphs.containers.map import bounded, item_steps_work, map_work
from stretto.graphs.dataflow import StepNode
from stretto.graphs.expressions import compile_expression
from stretto.graphs.given import Given, roots_of
from stretto.graphs.outcome import summarize
from stretto.graphs.plaindata import is_mapping
from stretto.graphs.plan import (
    StepPlan,
    merge_policies,
    names_in,
    plan_steps,
)
from stretto.graphs.requests import http_work
from stretto.graphs.runtime import Services
from stretto.graphs.spec import Fallback, Map, Policy, Step, Workflow
from stretto.graphs.templates import compile_template
from stretto.graphs.topology import needs_of
from stretto.graphs.works import (
    agent_work,
    other_agent_work,
    transform_work,
    transformed,
)

CONTAINERS = frozenset({"loop", "branch", "map", "workflow"})
"""Kinds of step that hold others."""
MAX_ITEMS = 1000
"""Items that one map works on; a longer list is refused before anything starts."""


@dataclass(frozen=True, slots=True)
class Assembler:
    """Builds the nodes of one workflow."""

    workflow: Workflow
    services: Services
    nested: Callable[[str], tuple[Workflow, Graph]]
    """Gives another workflow and its compiled graph, by reference."""

    def nodes(self, steps: Sequence[Step], outer: Iterable[str] = ()) -> list[StepNode]:
        """Build the nodes of one scope.

        Args:
            steps: the steps of the scope.
            outer: names that the containers around can see.

        """
        plans = plan_steps(steps, self.workflow.defaults, self.workflow.mode, outer)
        return [self._node(plan, self._work(plan)) for plan in plans]

    def _node(self, plan: StepPlan, work: Work) -> StepNode:
        return StepNode(
            plan=plan,
            work=transformed(work, plan),
            recover=other_agent_work(plan, self.services.agents),
            undo=undo_of(plan),
            workflow=self.workflow,
            services=self.services,
            holds_steps=plan.step.kind in CONTAINERS,
        )

    def _work(self, plan: StepPlan) -> Work:
        step = plan.step
        if step.loop:
            body = self.nodes(step.loop.steps, plan.declared)
            inside = names_in(step.loop.steps, plan.declared)
            return loop_work(step.loop, body, compile_expression(step.loop.until, inside))
        if step.branch:
            return self._branch(plan)
        if step.map:
            return self._map(plan, step.map)
        if step.workflow:
            return self._nested(plan, step.workflow)
        if step.approval:
            return approval_work(plan, step.approval)
        if step.http:
            return http_work(plan, step.http)
        if step.kind == "transform":
            return transform_work(plan)
        return agent_work(plan, self.services.agents)

    def _branch(self, plan: StepPlan) -> Work:
        branch = plan.step.branch
        assert branch is not None
        cases = dict(branch.cases)
        if branch.default:
            cases[DEFAULT_CASE] = branch.default
        nodes = {name: self.nodes(case.steps, plan.declared) for name, case in cases.items()}
        return branch_work(branch, nodes, as_template(branch.on, plan.declared))

    def _map(self, plan: StepPlan, each: Map) -> Work:
        declared = plan.declared | {each.as_, "item", "index"}
        step = Step(
            id=plan.step.id,
            agent=each.agent,
            capability=each.capability,
            action=each.action,
            params=each.params,
            stream=plan.step.stream,
        )
        policy = merge_policies(each, merge_policies(plan.step, self.workflow.defaults))
        item = plan_item(step, policy, declared)
        if each.steps:
            work = item_steps_work(self.nodes(each.steps, declared), each.timeout)
        else:
            work = agent_work(item, self.services.agents)
        limit = 1 if self.workflow.mode == "sequential" else each.max_parallel
        if isinstance(each.on_error, Fallback):
            item = replace(item, fallback=compile_template(each.on_error.fallback, declared))
        node = replace(self._node(item, bounded(work)), holds_steps=bool(each.steps))
        return map_work(each, node, items_of(as_template(each.over, plan.declared)), limit)

    def _nested(self, plan: StepPlan, reference: str) -> Work:
        async def run(call: StepCall) -> Result:
            workflow, graph = self.nested(reference)
            given = Given(
                call.input if is_mapping(call.input) else {}, call.roots.get("context") or {}
            )
            roots = roots_of(workflow, given, call.scope.run)
            frame = replace(inner_frame(call, f"{call.path}/"), given=given)
            if workflow.max_parallel_steps:
                frame.gate = Gate(workflow.max_parallel_steps)
            needs, limit = needs_of(workflow.steps), workflow.timeout
            ended = await go_inside(call, graph, {"round": 0}, frame, needs, limit)
            summary = summarize(workflow, ended, roots)
            if not summary.success:
                check_inside(call, ended)
                raise partly_done(ended, summary.errors[-1].code, str(summary.errors[-1]))
            return Result(summary.output, ended.get("undo") or {})

        return run


def plan_item(step: Step, policy: Policy, declared: frozenset[str]) -> StepPlan:
    """Plan the work on one item of a map: no needs, no guard, the map's policy."""
    return StepPlan(
        step=step,
        policy=policy,
        needs=(),
        after=None,
        position=0,
        remaining=step.estimated_duration or 1.0,
        guard=None,
        params=compile_template(step.params, declared),
        input=compile_template("${item}", declared),
        fallback=None,
        declared=declared,
    )


Value = Callable[[StepCall], Any]


def as_template(text: str, declared: frozenset[str]) -> Value:
    """Read an expression that may be written bare or as ``${...}``."""
    template = compile_template(text if "${" in text else "${" + text + "}", declared)
    return lambda call: call.render(template)


def items_of(over: Value) -> Callable[[StepCall], list[Any]]:
    """Evaluate what a map goes over.

    Raises:
        StepFailed: it is no list, or a longer one than is allowed.

    """

    def items(call: StepCall) -> list[Any]:
        value: Any = over(call)
        if not _is_list(value):
            raise StepFailed(
                f"'over' gave {_kind(value)}, and a map needs a list", code="not_a_list"
            )
        if len(value) > MAX_ITEMS:
            raise StepFailed(
                f"'over' gave {len(value)} items, and a map takes at most {MAX_ITEMS}; "
                "split the list into several maps",
                code="too_many_items",
            )
        return value

    return items


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _kind(value: object) -> str:
    return type(value).__name__
