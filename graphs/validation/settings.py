"""Settings that can be checked by themselves."""

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from stretto.errors import Fault
from stretto.graphs.inputs import InputTypeError, input_schema
from stretto.graphs.names import nearest
from stretto.graphs.paths import join
from stretto.graphs.patterns import bad_patterns
from stretto.graphs.plaindata import is_dict, is_list
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import CronTrigger, Step, Workflow

_DRIVE = re.compile(r"[A-Za-z]:")


def setting_faults(workflow: Workflow, every: list[Scope]) -> Iterator[Fault]:
    """Check the declared inputs, triggers, file names and answers.

    Args:
        workflow: what is declared.
        every: all its scopes.

    """
    yield from _inputs(workflow)
    yield from _save_path(workflow.save_output)
    for index, trigger in enumerate(workflow.triggers):
        if isinstance(trigger, CronTrigger):
            yield from _cron(join("triggers", index), trigger)
    for scope in every:
        for index, step in enumerate(scope.steps):
            yield from _approval(join(scope.path, index, "approval"), step)


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
    for problem in bad_patterns(schema):
        yield Fault("inputs", "bad_schema", problem)
    for path, reference in _references(schema, ""):
        if not reference.startswith("#"):
            message = f"'{reference}' points outside this document; only '#...' is allowed."
            yield Fault("inputs", "bad_schema", message + (f" It is at {path}." if path else ""))


def _references(schema: Any, path: str) -> Iterator[tuple[str, str]]:
    if is_dict(schema):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield path, value
            else:
                yield from _references(value, join(path, key))
    elif is_list(schema):
        for index, value in enumerate(schema):
            yield from _references(value, join(path, index))


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


def _approval(path: str, step: Step) -> Iterator[Fault]:
    asked = step.approval
    if asked is None:
        return
    if not asked.options:
        yield Fault(join(path, "options"), "no_options", "Give at least one option to choose.")
    elif asked.on_deadline is not None and asked.on_deadline not in asked.options:
        message = f"'{asked.on_deadline}' is none of the options; use one of them."
        hint = nearest(asked.on_deadline, asked.options)
        yield Fault(
            join(path, "on_deadline"), "bad_default", message, None, None, hint, asked.options
        )
