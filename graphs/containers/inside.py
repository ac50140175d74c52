"""What all containers share: the frame of their inside, entering it, and reading how it ended."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from stretto.errors import StepFailed, StepTimedOut
from stretto.graphs.builder import Graph, enter
from stretto.graphs.call import NotRun, PartlyDone, StepCall
from stretto.graphs.dataflow import StepNode
from stretto.graphs.plan import with_dependants
from stretto.graphs.remains import Remains, kept_of
from stretto.graphs.runtime import Frame
from stretto.graphs.state import RunState
from stretto.graphs.topology import Needs


def needs_among(nodes: Iterable[StepNode]) -> Needs:
    """Give what each step of a scope needs, by id."""
    return {node.plan.step.id: node.plan.needs for node in nodes}


def inner_frame(call: StepCall, prefix: str, roots: Mapping[str, Any] | None = None) -> Frame:
    """Make the frame for what is inside a container.

    Args:
        call: the container being carried out.
        prefix: path of the container, with its round or item.
        roots: values that only the inside sees.

    """
    outer = call.activation.frame
    names = call.names
    return Frame(
        scope=call.scope,
        roots={**call.roots, **(roots or {})},
        outputs=names.outputs,
        steps=names.steps,
        prefix=prefix,
        static=f"{outer.static}{call.plan.step.id}/",
        beyond=outer.beyond + call.plan.remaining - (call.plan.step.estimated_duration or 1.0),
        messages=outer.messages,
        rank=outer.rank,
        bounded=outer.bounded,
        gate=outer.gate,
        stopping=lambda: call.activation.stopping,
        doom=None if call.plan.policy.on_error not in (None, "fail") else _doom(call),
    )


def _doom(call: StepCall) -> Any:
    return lambda: call.activation.halt(call.plan.step.id)


async def run_inside(
    call: StepCall,
    graph: Graph,
    state: Mapping[str, Any],
    frame: Frame,
    needs: Needs,
    timeout: float | None = None,
) -> RunState:
    """Run a container's graph to its end and give its final state; arguments as ``go_inside``.

    Raises:
        PartlyDone: a step inside failed and that ends the container.

    """
    ended = await go_inside(call, graph, state, frame, needs, timeout)
    check_inside(call, ended)
    return ended


async def go_inside(
    call: StepCall,
    graph: Graph,
    state: Mapping[str, Any],
    frame: Frame,
    needs: Needs,
    timeout: float | None = None,
) -> RunState:
    """Run a container's graph to its end, whatever that is, and give its final state.

    Args:
        call: the container being carried out.
        graph: what is inside it.
        state: what the graph starts with.
        frame: where it sits in the run.
        needs: what each step inside needs.
        timeout: seconds it may take in all, beside the step's own limit.

    Raises:
        NotRun: a failure around stopped it; it carries what had been finished.
        PartlyDone: it did not end within the container's deadline; so does this.

    """
    call.begin()
    limits = [limit for limit in (call.plan.step.timeout, timeout) if limit is not None]
    limit = min(limits, default=None)
    given = {**state, **_without_outdated(seeds_of(call), needs)}
    if "records" in given:  # a workflow that fails now undoes what it had done before, too
        given["undo"] = call.scope.undo_inside(call.path)
    remains = call.activation.at_work[call.plan.step.id] = Remains(given)
    bounded = frame.bounded or limit is not None
    frame = replace(frame, bounded=bounded, entered=remains.enter)
    deadline = asyncio.timeout(limit)
    try:
        async with deadline:
            ended = await enter(graph, given, frame)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        late = StepTimedOut(f"it did not finish within {limit:g} s")
        raise PartlyDone(late, remains.kept()) from error
    del call.activation.at_work[call.plan.step.id]
    records = (ended.get("records") or {}).values()
    stopped = any(record.get("status") == "not_run" for record in records)
    if stopped and not any(record.get("fatal") for record in records):
        raise NotRun(kept_of(ended), ended.get("undo"))
    return ended


def seeds_of(call: StepCall) -> dict[str, Any]:
    """Give what an earlier attempt at the run had finished inside a container."""
    partial: dict[str, Any] = call.activation.state.get("partial") or {}
    seeds: dict[str, Any] = dict(partial.get(call.plan.step.id) or {})
    # What failed in an earlier round of the loop around, which went on, is no part of this one.
    in_round = seeds.pop("in_round", call.activation.round)
    return seeds if in_round == call.activation.round else {}


def _without_outdated(seeds: dict[str, Any], needs: Needs) -> dict[str, Any]:
    """Leave out what was made of a step that runs again."""
    if not seeds:
        return seeds
    again = with_dependants([step for step in needs if step not in seeds["records"]], needs)
    outdated = {step for step in again if again.intersection(needs[step])}
    fresh = {
        name: {step: kept for step, kept in seeds[name].items() if step not in outdated}
        for name in ("records", "skipped", "partial")
        if name in seeds
    }
    return seeds | fresh


def check_inside(call: StepCall, ended: RunState) -> None:
    """Fail the container if a step inside failed for good.

    Raises:
        PartlyDone: one did; it carries what had been finished.

    """
    for step, record in (ended.get("records") or {}).items():
        if record.get("fatal"):
            message = f"step '{step}' failed: {record.get('error')}"
            raise partly_done(ended, record.get("code"), message)


def partly_done(ended: RunState, code: str | None, message: str) -> PartlyDone:
    """Make the failure of a container out of why it failed and what it had finished."""
    return PartlyDone(StepFailed(message, code=code), kept_of(ended), ended.get("undo"))


def completed_outputs(ended: RunState, round_number: int = 0) -> dict[str, Any]:
    """Give the outputs of the steps that completed in a round."""
    outputs = ended.get("outputs") or {}
    return {
        step: outputs[step]
        for step, record in (ended.get("records") or {}).items()
        if record.get("status") == "completed" and record.get("round", 0) == round_number
    }
