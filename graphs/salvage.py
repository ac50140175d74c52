"""Documents whose form is wrong: every fault in it, and as much of a workflow as can be saved.

The faults of meaning (a cycle, an unknown step) are worth showing together with those of form, so
what is malformed is taken out, or replaced by something harmless, until the rest is a workflow.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from stretto.errors import Fault
from stretto.graphs.complaints import Complaint, complaints
from stretto.graphs.plaindata import is_dict, is_list
from stretto.graphs.spec import Workflow

_ROUNDS = 8
_HARMLESS: dict[str, Any] = {
    "name": "unnamed",
    "max_iterations": 1,
    "until": "true",
    "on": "input",
    "over": "[]",
    "cases": {},
    "message": "?",
    "url": "http://localhost",
    "when": "true",
    "agent": "?",
    "fallback": None,
}
"""What stands in for a required key."""


@dataclass(frozen=True)
class Salvaged:
    """What was found in a malformed document."""

    faults: list[Fault] = field(default_factory=list[Fault])
    workflow: Workflow | None = None
    """What is left of it; None when nothing could be made of it."""


def salvage(document: dict[str, Any]) -> Salvaged:
    """List the faults of a document's form, and save what can be saved of it.

    Args:
        document: a canonical document; it is not changed.

    """
    left = copy.deepcopy(document)
    faults: dict[tuple[str, str], Fault] = {}
    for _ in range(_ROUNDS):
        try:
            return Salvaged(list(faults.values()), Workflow.model_validate(left))
        except ValidationError as error:
            found = complaints(error.errors(include_url=False), left)
        wrong = {path for path, _ in faults}
        for complaint in found:
            fault = complaint.fault
            if fault.code == "missing_key" and fault.path in wrong:
                continue  # it was there, and was taken out as wrong
            # Indexes shift once something is taken out of a list, so only the first round counts
            # for lists; nothing is ever taken out of them but replaced.
            faults.setdefault((fault.path, fault.code), fault)
        for complaint in found:
            _mend(left, complaint)
    return Salvaged(list(faults.values()))


def _mend(document: dict[str, Any], complaint: Complaint) -> None:
    """Take out what is wrong, or put something harmless in its place."""
    *parents, last = complaint.place or ("",)
    holder: Any = document
    key: Any = last
    for part in parents:
        if not _has(holder, part):
            return
        holder = holder[part]
    if isinstance(holder, list):
        if _has(holder, last):
            holder[key] = _stand_in(parents, last)
    elif is_dict(holder):
        holder.pop(key, None)
        if complaint.required or last in _HARMLESS and last != "when" and last != "agent":
            holder[key] = _required(last, parents)


def _has(holder: Any, part: Any) -> bool:
    if is_list(holder):
        return isinstance(part, int) and part < len(holder)
    return is_dict(holder) and part in holder


def _required(key: Any, parents: list[Any]) -> Any:
    if key == "steps":
        return [_stand_in([*parents, "steps"], 0)]
    if key == "id":
        return f"unnamed_{parents[-1] if parents else 0}"
    return _HARMLESS.get(key, "?")


def _stand_in(parents: list[Any], index: Any) -> Any:
    if parents and parents[-1] in ("steps", "on_failure"):
        return {"id": f"unnamed_{index}", "agent": "?"}
    if parents and parents[-1] == "transform":
        return {"filter": "true"}
    return {"event": "?"} if parents and parents[-1] == "triggers" else "?"
