"""References in JSON Schemas: what one leads to has to be in the schema, as nothing is fetched."""

from collections.abc import Callable, Mapping
from typing import Any

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

NOTHING: "Registry[Any]" = Registry()
"""What validators know beside the schema that they are given."""


def held_by(schema: Mapping[str, Any]) -> Callable[[str], bool]:
    """Make what tells whether a schema holds what a reference leads to."""
    resolver = NOTHING.with_resource("", DRAFT202012.create_resource(schema)).resolver()

    def holds(reference: str) -> bool:
        try:
            resolver.lookup(reference)
        except Unresolvable:
            return False
        return True

    return holds
