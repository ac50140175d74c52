"""A JSON Schema filled from facts: deterministic, and always valid."""

from collections.abc import Iterator
from typing import Any

from stretto.agents.models.offline import scalars
from stretto.agents.models.offline.documents import is_list, is_object
from stretto.agents.models.offline.facts import Facts, facts_of_item, words_of
from stretto.agents.models.offline.scalars import NOTHING, is_telling
from stretto.agents.models.offline.schemas import (
    Schema,
    Schemas,
    kind_of,
    union_of,
    words_in,
)
from stretto.errors import StepFailed

_LISTED = frozenset("point bullet highlight step action item fact recommendation risk".split())
"""What lists of lines are called, besides the names of prose."""
_SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})


def fill_schema(schema: Schema, facts: Facts) -> Any:
    """Make the value that a schema asks for.

    Every property is looked up by its name in the facts. One that is required and of which
    nothing is said gets an extract if it asks for prose, else the plainest valid value.

    Args:
        schema: a JSON Schema as pydantic writes it: ``$ref`` into ``$defs``, types, ``enum``,
            ``const``, bounds, lengths, ``properties``, ``items``, ``prefixItems``, unions.
        facts: what there is to say.

    Raises:
        StepFailed: no value can fit the schema: it refers to what is not there, or has no end.

    """
    try:
        return _filled(schema, facts)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = "has no end" if isinstance(error, RecursionError) else f"is broken: {error!r}"
        message = f"The schema that the offline model has to fill {what}; correct it."
        raise StepFailed(message, code="model_rejected", retryable=False) from error


def _filled(schema: Schema, facts: Facts) -> Any:
    filler = _Filler(schema)
    given = [document for document in facts.documents if is_object(document)]
    for document in given:
        wanted = set(filler.resolved(schema).get("properties", ()))
        if wanted and wanted <= document.keys():
            value = filler.taken(schema, document, facts)
            if value is not NOTHING:
                return value
    return filler.made(schema, "", facts)


class _Filler:
    """Fills the parts of one schema."""

    def __init__(self, root: Schema) -> None:
        self._schemas = Schemas(root)
        self.resolved = self._schemas.resolved

    def value(self, schema: Any, name: str, facts: Facts) -> Any:
        """Give the value of one name: what is said of it, or else what can be made up."""
        found = self.found(schema, name, facts)
        return self.made(schema, name, facts) if found is NOTHING else found

    def found(self, schema: Any, name: str, facts: Facts) -> Any:
        """Give what is said about a name, as far as the schema allows it."""
        known = self.resolved(schema)
        for given in facts.about(name):
            value = self.taken(known, given, facts)
            if value is not NOTHING:
                return value
        return self._in_passing(known, name, facts)

    def _in_passing(self, known: Schema, name: str, facts: Facts) -> Any:
        for kind in self._schemas.branches(known):
            if kind.get("type") in ("integer", "number") and "enum" not in kind:
                for number in facts.numbers_near(name):
                    value = self.taken(kind, number, facts)
                    if value is not NOTHING:
                        return value
            if kind.get("type") == "boolean" and facts.says_yes(name) is not None:
                return self.taken(kind, facts.says_yes(name), facts)
            if choice := facts.first_of(words_in(kind), name):
                return choice
        return NOTHING

    def taken(self, schema: Any, given: Any, facts: Facts) -> Any:
        """Turn a given value into one of the schema, or say that it cannot be one."""
        known = self.resolved(schema)
        if "const" in known or "enum" in known:
            return scalars.chosen(known, given)
        if union := union_of(known):
            return self._taken_by_one(union, given, facts)
        match kind_of(known):
            case "object":
                return self._taken_object(known, given)
            case "array":
                return self._taken_list(known, given, facts)
            case "string":
                return scalars.text(known, given)
            case "integer" | "number" as kind:
                return scalars.number(known, given, kind == "integer")
            case "boolean":
                return scalars.truth(given)
            case "null":
                return None if given is None or given in ("null", "None", "none") else NOTHING
            case _:
                return given

    def _taken_by_one(self, union: list[Any], given: Any, facts: Facts) -> Any:
        """Prefer the branch that takes a value as it is, or that is about the same keys."""
        if is_object(given):
            keys = given.keys()
            needs = [set(self.resolved(branch).get("required", ())) for branch in union]
            order = sorted(range(len(union)), key=lambda place: len(needs[place] - keys))
            union = [union[place] for place in order]
        values = [self.taken(branch, given, facts) for branch in union]
        fitting = [value for value in values if value is not NOTHING]
        empty = [value for value in fitting if value is None]
        same = [value for value in fitting if scalars.equal(value, given)]
        return (empty or same or fitting or [NOTHING])[0]

    def _taken_object(self, known: Schema, given: Any) -> Any:
        if not is_object(given):
            return NOTHING
        own = facts_of_item(given)
        if "properties" not in known:
            inner = known.get("additionalProperties", True)
            values = {key: self.taken(inner, value, own) for key, value in given.items()}
            return {key: value for key, value in values.items() if value is not NOTHING}
        for name, part in known["properties"].items():
            part = self.resolved(part)
            if "const" in part and name in given and not scalars.equal(part["const"], given[name]):
                return NOTHING
        return self._object(known, own)

    def _taken_list(self, known: Schema, given: Any, facts: Facts) -> Any:
        inner = self.resolved(known.get("items", True))
        if isinstance(given, str) and inner.get("type") in _SCALARS:
            given = [part.strip() for part in given.split(",") if part.strip()]
        if not is_list(given):
            return NOTHING
        return self._list(known, given, facts)

    def made(self, schema: Any, name: str, facts: Facts) -> Any:
        """Give the most sensible value of which nothing is said."""
        known = self.resolved(schema)
        if "const" in known or "enum" in known:
            said = facts.first_of(words_in(known), name)
            return scalars.choices_of(known)[0] if said is None else said
        if union := union_of(known):
            return self._made_by_one(union, name, facts)
        match kind_of(known):
            case "object":
                return self._object(known, facts)
            case "array":
                return self._list(known, self._lines(known, facts), facts)
            case "integer" | "number" as kind:
                return scalars.plain_number(known, kind == "integer")
            case "boolean":
                return False
            case "null":
                return None
            case _:
                return scalars.plain_text(known, name, facts)

    def _made_by_one(self, union: list[Any], name: str, facts: Facts) -> Any:
        kinds = [kind_of(self.resolved(branch)) for branch in union]
        if is_telling(name) and "string" in kinds:
            return self.made(union[kinds.index("string")], name, facts)
        if "null" in kinds:
            return None
        return self.made(self._schemas.smallest(union), name, facts)

    def _object(self, known: Schema, facts: Facts) -> dict[str, Any]:
        """Fill the required properties, and of the others those of which something is said."""
        required = known.get("required", ())
        parts: dict[str, Any] = {**dict.fromkeys(required, True), **known.get("properties", {})}
        value: dict[str, Any] = {}
        for name, part in parts.items():
            found = self.found(part, name, facts)
            if found is NOTHING and (name in required or self._offers(part, name)):
                found = self.made(part, name, facts)
            if found is not NOTHING:
                value[name] = found
        return value

    def _offers(self, schema: Any, name: str) -> bool:
        """Tell whether an extract, or the lines of a list, answer an optional property."""
        kinds = [kind_of(part) for part in self._schemas.branches(schema)]
        listed = any(word.removesuffix("s") in _LISTED for word in words_of(name))
        return (is_telling(name) and "string" in kinds) or (
            kinds == ["array"] and (listed or is_telling(name))
        )

    def _lines(self, known: Schema, facts: Facts) -> list[Any]:
        inner = self.resolved(known.get("items", True))
        if kind_of(inner) == "object":
            return list(facts.rows) or list(facts.lists)
        if words := words_in(inner):
            return [word for word in words if facts.first_of([word], "")]
        return list(facts.lists) if kind_of(inner) in ("string", None) else []

    def _list(self, known: Schema, given: list[Any], facts: Facts) -> list[Any]:
        first: list[Any] = known.get("prefixItems", [])
        inner = known.get("items", True)
        values: list[Any] = []
        for place, schema in enumerate(first):
            value = self.taken(schema, given[place], facts) if place < len(given) else NOTHING
            values.append(self.made(schema, "", facts) if value is NOTHING else value)
        if inner is not False:
            values += self._items(inner, given[len(first) :], facts)
        if known.get("uniqueItems"):
            values = [item for place, item in enumerate(values) if item not in values[:place]]
        values = values[: known.get("maxItems")]
        missing = known.get("minItems", 0) - len(values)
        if known.get("uniqueItems") and missing > 0:
            return values + self._others(inner, values, missing, facts)
        return values + [self.made(inner, "", facts) for _ in range(missing)]

    def _others(self, inner: Any, values: list[Any], missing: int, facts: Facts) -> list[Any]:
        """Make values that differ from each other and from those that are there."""
        first = self.made(inner, "", facts)
        choices: list[Any] = self.resolved(inner).get("enum", [])
        start = first if isinstance(first, int) else 0
        counted = [
            n for step in range(missing + len(values) + 1) for n in (start + step, start - step)
        ]
        others: list[Any] = []
        for given in (first, *choices, *counted, *(f"{first} {number}" for number in counted)):
            value = self.taken(inner, given, facts)
            if value is not NOTHING and value not in (*values, *others):
                others.append(value)
        return others[:missing]

    def _items(self, inner: Any, given: list[Any], facts: Facts) -> Iterator[Any]:
        known = self.resolved(inner)
        for item in given:
            value = self.taken(inner, item, facts)
            if value is NOTHING and kind_of(known) == "object" and "properties" in known:
                value = self._object(known, facts_of_item(item))
            if value is not NOTHING:
                yield value
