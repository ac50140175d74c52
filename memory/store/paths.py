"""Namespaces as text: one string per path, which the engine matches as a whole."""

from collections.abc import Iterator, Sequence

from langgraph.store.base import MatchCondition

SEPARATOR = "\x1f"
_ESCAPE = "\x1e"
ANY = "*"
Namespace = tuple[str, ...]


def join(namespace: Sequence[str]) -> str:
    """Write a namespace as one string; no two namespaces give the same one."""
    path = SEPARATOR.join(namespace)
    if _ESCAPE in path or path.count(SEPARATOR) >= len(namespace) > 0:
        return SEPARATOR.join(_escaped(label) for label in namespace)
    return path


def split(path: str) -> Namespace:
    """Read back what ``join`` wrote."""
    if not path:
        return ()
    return tuple(_plain(label) for label in path.split(SEPARATOR))


def prefixes(namespace: Sequence[str]) -> list[str]:
    """Give the paths that a namespace starts with, itself included."""
    return [join(namespace[: depth + 1]) for depth in range(len(namespace))]


def suffixes(namespace: Sequence[str]) -> list[str]:
    """Give the paths that a namespace ends with, itself included."""
    return [join(namespace[depth:]) for depth in range(len(namespace))]


def matches(namespace: Namespace, condition: MatchCondition) -> bool:
    """Say whether a namespace starts or ends as ``condition`` says; ``*`` stands for one label."""
    path = tuple(condition.path)
    if len(path) > len(namespace):
        return False
    part = (
        namespace[: len(path)]
        if condition.match_type == "prefix"
        else namespace[len(namespace) - len(path) :]
    )
    return all(wanted in (ANY, label) for wanted, label in zip(path, part, strict=True))


def literal(condition: MatchCondition) -> Namespace:
    """Give the labels of a condition that stand at the outer end, before any ``*``."""
    path = tuple(condition.path)
    if condition.match_type == "prefix":
        return tuple(_until_any(path))
    return tuple(_until_any(path[::-1]))[::-1]


def _until_any(labels: Namespace) -> Iterator[str]:
    for label in labels:
        if label == ANY:
            return
        yield label


def _escaped(label: str) -> str:
    return label.replace(_ESCAPE, _ESCAPE + "0").replace(SEPARATOR, _ESCAPE + "1")


def _plain(label: str) -> str:
    return label.replace(_ESCAPE + "1", SEPARATOR).replace(_ESCAPE + "0", _ESCAPE)
