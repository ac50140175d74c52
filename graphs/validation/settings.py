"""Settings that can be checked by themselves."""

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from stretto.errors import Fault
from stretto.graphs.fitting import unsafe_parts
from stretto.graphs.inputs import InputTypeError, input_schema
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import CronTrigger, Policy, Workflow

_DRIVE = re.compile(r"[A-Za-z]:")


def setting_faults(workflow: Workflow, every: list[Scope]) -> Iterator[Fault]:
    """Check the declared inputs, triggers, file names and timeouts.

    Args:
        workflow: what is declared.
        every: all its scopes.

    """
    yield from _inputs(workflow)
    yield from _save_path(workflow.save_output)
    for index, trigger in enumerate(workflow.triggers):
        if isinstance(trigger, CronTrigger):
            yield from _cron(join("triggers", index), trigger)
    yield from _times(workflow, every)


def _inputs(workflow: Workflow) -> Iterator[Fault]:
    try:
        schema = input_schema(workflow.inputs)
        Draft202012Validator.check_schema(schema)
    except InputTypeError as error:
        yield Fault(join("inputs", error.key), "bad_schema", f"{error}.")
        return
    except SchemaError as error:
        parts = list(error.absolute_path)
        whole = "properties" in workflow.inputs or parts[:1] != ["properties"]
        path = join("inputs", *(parts if whole else parts[1:]))
        yield Fault(path, "bad_schema", f"This is no valid JSON Schema: {error.message}.")
        return
    for problem in unsafe_parts(schema):
        yield Fault("inputs", "bad_schema", problem)


def _save_path(path: str | None) -> Iterator[Fault]:
    if path is None:
        return
    parts = path.replace("\\", "/").split("/")
    outside = ".." in parts or path.startswith(("/", "\\", "~")) or bool(_DRIVE.match(path))
    if outside or not path.strip() or "\0" in path:
        message = f"'{path}' must be a path below the output folder, without '..'."
        yield Fault("save_output", "bad_save_path", message)


def _cron(path: str, trigger: CronTrigger) -> Iterator[Fault]:
    from croniter import croniter

    if not croniter.is_valid(trigger.cron):
        message = f"'{trigger.cron}' is no cron text; write five fields, such as '0 2 * * *'."
        yield Fault(join(path, "cron"), "bad_cron", message)
    try:
        ZoneInfo(trigger.timezone)
    except (KeyError, ValueError, OSError):
        message = f"'{trigger.timezone}' is no time zone; write one such as Europe/Berlin or UTC."
        yield Fault(join(path, "timezone"), "bad_timezone", message)


def _times(workflow: Workflow, every: list[Scope]) -> Iterator[Fault]:
    """Find deadlines that nothing could meet."""
    holders: list[tuple[str, Workflow | Policy]] = [("", workflow), ("defaults", workflow.defaults)]
    for scope in every:
        for index, step in enumerate(scope.steps):
            path = join(scope.path, index)
            holders.append((path, step))
            if step.map:
                holders.append((join(path, "map"), step.map))
    for path, holder in holders:
        if holder.timeout == 0:
            message = "A timeout of 0 leaves no time at all; give more, or leave it out for none."
            yield Fault(join(path, "timeout"), "no_time", message)
