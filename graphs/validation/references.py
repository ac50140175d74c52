"""Workflows that are used by a workflow."""

from collections.abc import Callable, Container, Iterator
from typing import Any

from stretto.errors import Fault, WorkflowInvalid
from stretto.graphs.names import nearest
from stretto.graphs.paths import join
from stretto.graphs.scopes import Scope
from stretto.graphs.spec import Workflow

Known = Container[str] | Callable[[str], Workflow] | None
"""The workflows there are: ids, a function that finds one, or None for the shipped ones."""


def workflow_faults(workflow: Workflow, every: list[Scope], known: Known) -> Iterator[Fault]:
    """Check that every workflow that is used exists, and that none runs itself.

    Args:
        workflow: what is declared.
        every: all its scopes.
        known: the workflows there are.

    """
    used = [
        (join(scope.path, index, "workflow"), step.workflow)
        for scope in every
        for index, step in enumerate(scope.steps)
        if step.workflow
    ]
    if workflow.fallback_workflow:
        used.append(("fallback_workflow", workflow.fallback_workflow))
    for path, reference in used:
        if reference.partition("@")[0] in (workflow.id, workflow.name):
            message = f"The workflow would run itself: {workflow.id} -> {workflow.id}."
            yield Fault(path, "cycle", message)
        elif (fault := _check(path, reference, known)) is not None:
            yield fault


def _check(path: str, reference: str, known: Known) -> Fault | None:
    if known is None:
        from stretto.graphs.library import shipped

        known = shipped()
    names = _names(known)
    if _exists(reference, known):
        return None
    listed = f" There are {', '.join(names)}." if 0 < len(names) <= 20 else ""
    hint = nearest(reference.partition("@")[0], names)
    message = f"There is no workflow '{reference}'." + ("" if hint else listed)
    return Fault(path, "unknown_workflow", message, nearest=hint, allowed=names)


def _names(known: Any) -> tuple[str, ...]:
    """List the workflows there are, as far as they can be listed."""
    if hasattr(known, "names"):
        return tuple(known.names())
    return tuple(known) if hasattr(known, "__iter__") else ()


def _exists(reference: str, known: "Container[str] | Callable[[str], Workflow]") -> bool:
    if not callable(known):
        return reference in known or reference.partition("@")[0] in known
    try:
        known(reference)
    except WorkflowInvalid as error:
        # A workflow that exists but is wrong is reported where it is compiled.
        return all(fault.code != "unknown_workflow" for fault in error.faults)
    except LookupError:
        return False
    return True
