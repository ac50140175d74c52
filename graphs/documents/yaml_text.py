"""YAML as plain data with positions, guarded while it is still a stream of events."""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from stretto.graphs.documents.faults import Findings
from stretto.graphs.documents.yaml_scalars import resolve
from stretto.graphs.paths import join

_NODE_LINE = re.compile(r"^[ \t]*(?:- |[^\s#'\"][^\n:]{0,200}:(?=\s|$))", re.MULTILINE)
_FLOW = re.compile(r"[,\[{]")
_TEXT_KEYS = frozenset({"name", "version", "description", "workflow_id"})
"""Top-level keys whose plain numbers stay text, so that ``version: 1.10`` is not 1.1."""


def read_yaml(text: str, findings: Findings) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Read a YAML text with the scalars of YAML 1.2: ``no`` is a text and ``1:30`` too.

    Args:
        text: the text.
        findings: where faults go.

    Raises:
        Refused: reading on is pointless.

    """
    findings.guard_brackets(text)
    if _estimate(text) > findings.limits.nodes:
        raise findings.too_many_nodes("")
    # The C loader overflows its stack on deep nesting, so the pure Python one reads.
    builder = _Builder(_events(text), findings)
    try:
        data = builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else None
        problem = error.problem or error.context or "it cannot be read"
        if problem.endswith("but got '?'"):  # which YAML 1.2 would take for a part of the text
            problem += "; put a text that has a '?' in it in quotes"
        raise findings.refuse("syntax", f"This is no valid YAML: {problem}.", at=at) from None
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise findings.refuse("syntax", f"This is no valid YAML: {reason}.") from None
    return data, builder.positions


def _events(text: str) -> Iterator[Event]:
    loader: Any = yaml.SafeLoader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _estimate(text: str) -> int:
    """Count what look like nodes, so that a huge document costs no parsing."""
    return 2 * len(_NODE_LINE.findall(text)) + len(_FLOW.findall(text)) // 2


class _Builder:
    def __init__(self, events: Iterator[Event], findings: Findings) -> None:
        self.events = events
        self.findings = findings
        self.positions: dict[str, tuple[int, int]] = {}
        self.nodes = 0

    def document(self) -> Any:
        data: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    message = "There is more than one document (`---`); keep one per file."
                    raise self.findings.refuse("several_documents", message, at=_at(event))
            elif isinstance(event, NodeEvent):
                data = self.node(event, "", 0)
        return data

    def node(self, event: NodeEvent, path: str, depth: int) -> Any:
        self.guard(event, path)
        self.positions.setdefault(path, _at(event))
        if isinstance(event, AliasEvent):
            return None
        if isinstance(event, ScalarEvent):
            return self.scalar(event, path)
        if depth >= self.findings.limits.depth:
            raise self.findings.too_deep(path, _at(event))
        if isinstance(event, MappingStartEvent):
            return self.mapping(path, depth + 1)
        return self.sequence(path, depth + 1)

    def guard(self, event: NodeEvent, path: str) -> None:
        self.nodes += 1
        if self.nodes > self.findings.limits.nodes:
            raise self.findings.too_many_nodes(path, _at(event))
        if isinstance(event, AliasEvent):
            if all(fault.code != "anchors_refused" for fault in self.findings.faults):
                message = f"Aliases (*{event.anchor}) are refused; write the value out."
                self.findings.once("aliases_refused", message, path, _at(event))
            return
        if event.anchor:
            message = (
                f"Anchors (&{event.anchor}) are refused; write the value out where it is used."
            )
            self.findings.once("anchors_refused", message, path, _at(event))
        tag: str | None = getattr(event, "tag", None)
        if tag is not None:
            message = f"Tags ({tag}) are refused; write the plain value."
            self.findings.add("tags_refused", message, path, _at(event))

    def mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                break
            key = self.key(event, path, depth)
            inner = path if key is None else join(path, key)
            if key is not None:
                if key in found:
                    message = f"The key '{key}' is given twice; keep one."
                    self.findings.add("duplicate_key", message, inner, _at(event))
                self.positions.setdefault(inner, _at(event))
            value = next(self.events)
            if isinstance(value, NodeEvent):
                built = self.node(value, inner, depth)
                if key is not None:
                    found[key] = built
        return found

    def key(self, event: Event, path: str, depth: int) -> str | None:
        """Read a key; None stands for one that was refused."""
        if not isinstance(event, ScalarEvent):
            message = "A key must be a text, not a list, a mapping or an alias."
            self.findings.once("bad_key", message, path, _at(event))
            if isinstance(event, NodeEvent):
                self.node(event, path, depth)
            return None
        self.guard(event, path)
        plain = event.style is None
        if plain and event.value == "<<":
            if all(fault.code != "anchors_refused" for fault in self.findings.faults):
                message = "Merge keys (<<) are refused; write the keys out."
                self.findings.once("merge_keys_refused", message, path, _at(event))
            return None
        if plain and not isinstance(resolve(event.value), str):
            message = f"The key {event.value or 'null'} is no text; put it in quotes."
            self.findings.add("bad_key", message, path, _at(event))
            return None
        return event.value

    def sequence(self, path: str, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                break
            if isinstance(event, NodeEvent):
                items.append(self.node(event, join(path, len(items)), depth))
        return items

    def scalar(self, event: ScalarEvent, path: str) -> Any:
        if event.style is not None:
            return event.value
        value = resolve(event.value)
        if isinstance(value, float) and not math.isfinite(value):
            message = f"{event.value} is no number that JSON can hold."
            self.findings.add("not_finite", message, path, _at(event))
        return event.value if path in _TEXT_KEYS and _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at(event: Event) -> tuple[int, int]:
    mark: Any = event.start_mark
    return mark.line + 1, mark.column + 1
