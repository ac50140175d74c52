"""Size of a workflow, measured before anything expensive looks at it."""

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from stretto.errors import Fault
from stretto.graphs.limits import Limits
from stretto.graphs.paths import join
from stretto.graphs.scopes import bodies
from stretto.graphs.spec import Workflow


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
    size, faults = 0, list[Fault]()
    for path, part, without in _parts(workflow):
        try:
            size += len(part.model_dump_json(exclude_defaults=True, exclude=without))
        except (PydanticSerializationError, RecursionError) as error:
            message = f"This has no form in JSON, in which it is kept: {_reason(error)}."
            faults.append(Fault(path, "not_json", message))
    if size > limits.size:
        message = (
            f"The workflow has {size:,} bytes, at most {limits.size:,} are allowed; move data out."
        )
        faults.append(Fault("", "too_large", message))
    return faults


def _parts(workflow: Workflow) -> Iterator[tuple[str, BaseModel, set[str]]]:
    """Give each step, and all that is around them, with its path and what is not looked at."""
    yield "", workflow, {"steps", "on_failure"}
    for name, steps in (("steps", workflow.steps), ("on_failure", workflow.on_failure)):
        for index, step in enumerate(steps):
            yield join(name, index), step, set()


def _reason(error: Exception) -> str:
    """Say what is wrong, without the words around it."""
    reason = str(error).removeprefix("Error serializing to JSON: ")
    return "half a character (a lone surrogate)" if "surrogates" in reason else reason
