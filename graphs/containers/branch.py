"""A branch: a conditional edge from START to the steps of the chosen case."""

from collections.abc import Callable, Mapping
from typing import Any

from stretto.graphs.attempts import Result
from stretto.graphs.builder import START, Builder
from stretto.graphs.call import Skipped, StepCall, Work
from stretto.graphs.containers.inside import (
    completed_outputs,
    inner_frame,
    needs_among,
    run_inside,
)
from stretto.graphs.dataflow import StepNode
from stretto.graphs.region import Region
from stretto.graphs.spec import Branch
from stretto.graphs.state import RunState

DEFAULT_CASE = "(default)"


def branch_work(
    branch: Branch, cases: Mapping[str, list[StepNode]], on: Callable[[StepCall], Any]
) -> Work:
    """Take one case: a conditional edge from START to the steps of that case."""
    builder = Builder()
    entries: dict[str, tuple[str, ...]] = {}
    for number, (case, nodes) in enumerate(cases.items()):
        entries[case] = Region(nodes).add_to(builder, f"{number}/")
    needs = {case: needs_among(nodes) for case, nodes in cases.items()}
    names = [name for entry in entries.values() for name in entry]

    async def chosen(state: RunState) -> list[str]:
        case = state.get("case")
        return list(entries[DEFAULT_CASE if case is None else case])  # a case may be ''

    builder.add_route(START, chosen, names)
    graph = builder.compile()

    async def run(call: StepCall) -> Result:
        value = on(call)
        case = case_of(value, branch)
        if case is None:
            raise Skipped(f"there is no case for {value!r}")
        frame = inner_frame(call, f"{call.path}/")
        ended = await run_inside(call, graph, {"case": case}, frame, needs[case])
        return Result(completed_outputs(ended), ended.get("undo") or {})

    return run


def case_of(value: Any, branch: Branch) -> str | None:
    """Find the case for a value: its text among the cases, else the default if there is one."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, str | bool | int) and text in branch.cases:
        return text
    return DEFAULT_CASE if branch.default else None
