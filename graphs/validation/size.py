"""Size of a workflow, measured before anything expensive looks at it."""

import json

from stretto.errors import Fault
from stretto.graphs.limits import Limits
from stretto.graphs.paths import join
from stretto.graphs.scopes import bodies
from stretto.graphs.spec import Step, Workflow


def size_faults(workflow: Workflow, limits: Limits) -> list[Fault]:
    """Check the number of steps, their nesting, and the size of the whole.

    Args:
        workflow: what is declared.
        limits: how large it may be.

    """
    count = 0
    waiting = [("steps", workflow.steps, 1), ("on_failure", workflow.on_failure, 1)]
    while waiting:
        path, steps, depth = waiting.pop()
        if depth > limits.depth:
            message = f"More than {limits.depth} containers inside each other; flatten them."
            return [Fault(path, "too_deep", message)]
        count += len(steps)
        waiting += [
            (f"{join(path, index)}.{below}", body, depth + 1)
            for index, step in enumerate(steps)
            for below, body in bodies(step)
        ]
    if count > limits.steps:
        message = (
            f"The workflow has {count:,} steps, at most {limits.steps:,} are allowed; split it."
        )
        return [Fault("steps", "too_many_steps", message)]
    return _bytes(workflow, limits)


def _bytes(workflow: Workflow, limits: Limits) -> list[Fault]:
    # What is large is in texts and params; the models around them are small.
    size = sum(_size(step) for step in (*workflow.steps, *workflow.on_failure))
    size += len(workflow.description) + len(
        json.dumps([workflow.context, workflow.inputs], default=str)
    )
    if size <= limits.size:
        return []
    message = (
        f"The workflow has {size:,} bytes, at most {limits.size:,} are allowed; move data out."
    )
    return [Fault("", "too_large", message)]


def _size(step: Step) -> int:
    return len(step.model_dump_json(exclude_defaults=True))
