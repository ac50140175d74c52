"""Whose memory a call may see: its tenant and user, as the run's context names them."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

from pydantic_core import to_json

from stretto.errors import StepFailed
from stretto.memory.item import Scope

TENANT = ("tenant", "tenant_id")
USER = ("user", "user_id")
"""Where a run's context says on whose behalf it is; the first that is there counts."""
FIELDS = tuple(field.name for field in fields(Scope))


def scope_of(context: Mapping[str, Any], **more: str | None) -> Scope:
    """Read a run's context.

    Args:
        context: may have ``tenant`` or ``tenant_id``, and ``user`` or ``user_id``.
        more: other fields of the scope.

    """
    return Scope(tenant=_named(context, TENANT), user=_named(context, USER), **more)


def whose(scope: Scope) -> Scope:
    """Give only the tenant and the user: what separates people from each other."""
    return Scope(tenant=scope.tenant, user=scope.user)


def narrowed(scope: Scope, wanted: Mapping[str, Any]) -> Scope:
    """Narrow a scope by what a step asks for.

    Args:
        scope: what the call may see.
        wanted: fields of a scope among other params; None leaves one as it is.

    Raises:
        StepFailed: it asks for another one's memory, or for nobody's (``memory_scope``).

    """
    asked = {n: text_of(wanted[n]) for n in FIELDS if wanted.get(n) is not None}
    for name, value in asked.items():
        if value is None:  # to leave it out would show the memory of everybody
            told = f"the param '{name}' is empty; name somebody, or leave it out"
            raise StepFailed(told, code="memory_scope")
        held = getattr(scope, name)
        if held is not None and value != held:
            raise StepFailed(
                f"the memory of {name} '{value}' is not for a run of {name} '{held}'; start the "
                "run with that context, or leave the param out",
                code="memory_scope",
            )
    return replace(scope, **asked)


def check_named(context: Mapping[str, Any]) -> None:
    """Refuse a context that says on whose behalf it is and names nobody.

    Raises:
        StepFailed: it would show the memory of everybody (``memory_scope``).

    """
    for names in (TENANT, USER):
        given = [name for name in names if context.get(name) is not None]
        if given and _named(context, names) is None:
            told = f"the run's context has an empty '{given[0]}'; name somebody, or leave it out"
            raise StepFailed(told, code="memory_scope")


def text_of(value: Any) -> str | None:
    """Give the text that stands for whoever is meant, or None for nobody in particular.

    A mapping stands for its ``id``. One without is taken as a whole: to leave out what names
    somebody would show the memory of everybody.
    """
    if isinstance(value, Mapping):
        person = cast(Mapping[str, Any], value)
        value = person.get("id", value) if person else None
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    return to_json(value, fallback=str).decode()


def _named(context: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    found = (text_of(context[name]) for name in names if name in context)
    return next((value for value in found if value is not None), None)
