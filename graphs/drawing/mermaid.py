"""Mermaid flowcharts, https://mermaid.js.org/syntax/flowchart.html."""

import re
from collections.abc import Iterator

from stretto.graphs.drawing.picture import Group, Node, Picture, Shape, picture_of, shorten
from stretto.graphs.spec import Workflow

_BRACKETS: dict[Shape, tuple[str, str]] = {
    "agent": ("[", "]"),
    "workflow": ("[[", "]]"),
    "approval": ("{{", "}}"),
    "http": ("[/", "/]"),
    "transform": ("([", "])"),
    "choice": ("{", "}"),
    "undo": (">", "]"),
    "start": ("((", "))"),
}
_ENTITIES = {
    "&": "#amp;",
    '"': "#quot;",
    "<": "#lt;",
    ">": "#gt;",
    "`": "#96;",
    "#": "#35;",
    "\\": "#92;",
}
_LABEL = 60


def to_mermaid(workflow: Workflow) -> str:
    """Draw the declared topology as Mermaid text.

    Args:
        workflow: a valid workflow.

    """
    names = _Names()
    lines = ["flowchart TD", *_lines(picture_of(workflow), names, "    ")]
    return "\n".join(lines) + "\n"


class _Names:
    """Gives each key a name that Mermaid cannot take for a keyword or an arrow."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, key: str) -> str:
        if key not in self._names:
            wanted = "s_" + re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_")
            unique, number = wanted, 1
            while unique in self._taken:
                number += 1
                unique = f"{wanted}_{number}"
            self._taken.add(unique)
            self._names[key] = unique
        return self._names[key]


def _lines(picture: Picture, names: _Names, indent: str) -> Iterator[str]:
    for node in picture.nodes:
        yield from _node(node, names, indent)
    for edge in picture.edges:
        arrow = "-.->" if edge.dashed else "-->"
        label = f'|"{_text(edge.label)}"|' if edge.label else ""
        yield f"{indent}{names.of(edge.source)} {arrow}{label} {names.of(edge.target)}"


def _node(node: Node, names: _Names, indent: str) -> Iterator[str]:
    label = "<br/>".join(_text(line) for line in (node.title, *node.details))
    if not node.groups:
        before, after = _BRACKETS[node.shape]
        yield f'{indent}{names.of(node.key)}{before}"{label}"{after}'
        return
    yield f'{indent}subgraph {names.of(node.key)} ["{label}"]'
    inner = indent + "    "
    if node.groups[0].title:
        yield from _cases(node, names, inner)
    else:
        yield from _lines(node.groups[0].picture, names, inner)
    yield f"{indent}end"


def _cases(node: Node, names: _Names, indent: str) -> Iterator[str]:
    choice = names.of(f"{node.key}/(choice)")
    question = node.details[0].removeprefix("choose by ")
    yield f'{indent}{choice}{{"{_text(question)}"}}'
    for group in node.groups:
        yield from _case(group, names, indent)
        yield f'{indent}{choice} -->|"{_text(group.title)}"| {names.of(group.key)}'


def _case(group: Group, names: _Names, indent: str) -> Iterator[str]:
    yield f'{indent}subgraph {names.of(group.key)} ["{_text(group.title)}"]'
    yield from _lines(group.picture, names, indent + "    ")
    yield f"{indent}end"


def _text(text: str) -> str:
    return "".join(_ENTITIES.get(sign, sign) for sign in shorten(text, _LABEL))
