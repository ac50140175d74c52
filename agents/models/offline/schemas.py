"""JSON Schemas as pydantic writes them: references followed, kinds told, sizes compared."""

import math
from typing import Any
from urllib.parse import unquote

from stretto.agents.models.offline.documents import is_list, is_object

Schema = dict[str, Any]
_UNIONS = ("anyOf", "oneOf")
_MOST_STEPS = 50
"""How many references in a row are followed."""


def kind_of(known: Schema) -> str | None:
    """Name the type of a resolved schema, also where only its parts tell it."""
    if "type" in known:
        return str(known["type"])
    if "properties" in known:
        return "object"
    return "array" if "items" in known or "prefixItems" in known else None


def union_of(known: Schema) -> list[Any]:
    """Give the schemas of which one is enough, if that is what it says."""
    for word in _UNIONS:
        if known.get(word):
            union: list[Any] = known[word]
            return union
    return []


def words_in(known: Schema) -> list[str]:
    """Give the texts of an ``enum``."""
    choices: list[Any] = known.get("enum", [])
    return [choice for choice in choices if isinstance(choice, str)]


class Schemas:
    """One schema and the parts that it refers to."""

    def __init__(self, root: Schema) -> None:
        """Keep ``root``, which holds the definitions."""
        self._root = root

    def resolved(self, schema: Any) -> Schema:
        """Follow references; ``true`` allows everything."""
        found: Any = schema
        for _ in range(_MOST_STEPS):
            if not is_object(found):
                return {}
            if "$ref" in found:
                found = {**self._at(str(found["$ref"])), **_without(found, "$ref")}
            elif found.get("allOf"):
                first, *rest = found["allOf"]
                found = _both(self.resolved(first), _without(found, "allOf"))
                found = {**found, "allOf": rest} if rest else found
            elif union_of(found) and ("type" in found or "properties" in found):
                word = next(word for word in _UNIONS if found.get(word))
                base = _without(found, word)
                return {"anyOf": [{**base, "allOf": [branch]} for branch in found[word]]}
            elif isinstance(found.get("type"), list):
                rest = _without(found, "type")
                return {"anyOf": [{**rest, "type": kind} for kind in found["type"]]}
            else:
                return found
        return {}

    def branches(self, schema: Any) -> list[Schema]:
        """Give what a value may be: the parts of a union, or the schema itself."""
        known = self.resolved(schema)
        return [self.resolved(branch) for branch in union_of(known) or [known]]

    def smallest(self, union: list[Any]) -> Any:
        """Choose the part of a union whose values can be the least nested."""
        return min(union, key=lambda schema: self._height(schema, ()))

    def _height(self, schema: Any, above: tuple[int, ...]) -> float:
        """Count how deep the smallest value is; one that must hold itself has no end."""
        known = self.resolved(schema)
        union = union_of(known)
        parts = union or _must_hold(known)
        if not parts:
            return 0
        # Resolving copies the schema itself, but not what is inside of it.
        spot = id(union or known.get("properties") or known.get("items"))
        if spot in above:
            return math.inf
        heights = [self._height(part, (*above, spot)) for part in parts]
        return min(heights) if union else 1 + max(heights)

    def _at(self, reference: str) -> Schema:
        found: Any = self._root
        for part in unquote(reference).removeprefix("#").strip("/").split("/"):
            if part:
                key = part.replace("~1", "/").replace("~0", "~")
                found = found[int(key)] if is_list(found) else found[key]
        known: Schema = found
        return known


def _must_hold(known: Schema) -> list[Any]:
    held = known.get("properties", {})
    if known.get("minItems"):
        return [known.get("items", True), *known.get("prefixItems", ())]
    return [held[name] for name in known.get("required", ()) if name in held]


def _both(one: Schema, other: Schema) -> Schema:
    """Ask for what either schema asks for; in doubt the second one is right."""
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        both["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return both


def _without(schema: Schema, word: str) -> Schema:
    return {key: value for key, value in schema.items() if key != word}
