"""Plain data from anywhere, checked before anything walks it without care."""

from collections.abc import Mapping
from typing import Any

from stretto.graphs.documents.faults import Findings
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_mapping


def check_plain(data: Any, findings: Findings) -> None:
    """Note keys that are no text; stop at what is too deep or too large.

    Data that shares or contains itself counts as often as it is seen, so it ends at a limit.

    Args:
        data: mappings and lists of values.
        findings: where faults go.

    Raises:
        Refused: there are too many levels or values.

    """
    nodes = 0
    todo: list[tuple[Any, str, int]] = [(data, "", 0)]
    while todo:
        value, path, depth = todo.pop()
        nodes += 1
        if nodes > findings.limits.nodes:
            raise findings.too_many_nodes(path)
        if not isinstance(value, Mapping | list | tuple):
            continue
        if depth >= findings.limits.depth:
            raise findings.too_deep(path)
        todo += [(item, sub, depth + 1) for item, sub in _children(value, path, findings)]


def _children(value: Any, path: str, findings: Findings) -> list[tuple[Any, str]]:
    if not is_mapping(value):
        return [(item, join(path, index)) for index, item in enumerate(value)]
    children: list[tuple[Any, str]] = []
    keys: Mapping[Any, Any] = value
    for key, item in keys.items():
        if isinstance(key, str):
            children.append((item, join(path, key)))
        else:
            findings.add("bad_key", f"The key {key!r} is no text; put it in quotes.", path)
    return children
