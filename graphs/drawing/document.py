"""The picture as JSON, for programs that draw by themselves."""

import json
from typing import Any

from stretto.graphs.drawing.picture import Node, Picture, picture_of
from stretto.graphs.spec import Workflow


def to_json(workflow: Workflow) -> str:
    """Write the declared topology as JSON: ``nodes`` (with ``groups`` in containers) and ``edges``.

    Args:
        workflow: a valid workflow.

    """
    head = {"workflow": workflow.name, "id": workflow.id, "version": workflow.version}
    return (
        json.dumps({**head, **_picture(picture_of(workflow))}, indent=2, ensure_ascii=False) + "\n"
    )


def _picture(picture: Picture) -> dict[str, Any]:
    edges = [
        {"source": e.source, "target": e.target, "label": e.label, "dashed": e.dashed}
        for e in picture.edges
    ]
    return {"nodes": [_node(node) for node in picture.nodes], "edges": edges}


def _node(node: Node) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "id": node.key,
        "title": node.title,
        "details": list(node.details),
        "shape": node.shape,
    }
    if node.groups:
        drawn["groups"] = [
            {"id": group.key, "title": group.title, **_picture(group.picture)}
            for group in node.groups
        ]
    return drawn
