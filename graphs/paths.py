"""Paths into a document, in the form ``steps[3].params.account_id``."""

import json
import re
from collections.abc import Iterable, Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_PART = re.compile(r'\.?([A-Za-z0-9_-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


def join(path: str, *parts: str | int) -> str:
    """Extend a path by keys and indexes.

    Args:
        path: the path so far; empty for the whole document.
        parts: a text for a key, a number for an index.

    """
    for part in parts:
        if isinstance(part, int):
            path = f"{path}[{part}]"
        elif _PLAIN.fullmatch(part):
            path = f"{path}.{part}" if path else part
        else:
            path = f"{path}[{json.dumps(part, ensure_ascii=False)}]"
    return path


def split(path: str) -> list[str | int]:
    """Take a path apart into keys and indexes."""
    parts: list[str | int] = []
    for match in _PART.finditer(path):
        key, index, quoted = match.groups()
        parts.append(int(index) if index else json.loads(quoted) if quoted else key)
    return parts


def upwards(path: str) -> Iterable[tuple[str, list[str | int]]]:
    """Give a path and all that contain it, each with the parts that were left out."""
    parts = split(path)
    for length in range(len(parts), -1, -1):
        yield join("", *parts[:length]), parts[length:]


def position(path: str, positions: Mapping[str, tuple[int, int]]) -> tuple[int, int] | None:
    """Find where a path, or the closest thing that contains it, stands in a text."""
    return next((positions[p] for p, _ in upwards(path) if p in positions), None)


def source_path(path: str, moved: Mapping[str, str]) -> str:
    """Translate a canonical path to the one its author wrote.

    Args:
        path: a path in the canonical document.
        moved: canonical paths to source paths, for everything that stands elsewhere in the source.

    """
    for known, rest in upwards(path):
        if known in moved:
            return join(moved[known], *rest)
    return path
