"""Ids of steps: taken from what identifies them, made from what they do when nothing does."""

import re
from collections.abc import Mapping
from typing import Any

from stretto.graphs.forms.rewriting import Rewrite
from stretto.graphs.forms.wholes import put_title
from stretto.graphs.names import RESERVED
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_dict, is_list

_OTHER = re.compile(r"[^A-Za-z0-9_.-]+")
_SOURCES = ("output_to", "action", "agent", "capability", "workflow")
_KINDS = ("loop", "branch", "map", "approval", "http", "transform")


def take_id(step: Rewrite) -> None:
    """Take ``step_id``, else ``name``, for the id; a name beside an id is a title."""
    if "id" not in step.data and "step_id" in step.data:
        step.put("id", step.data.pop("step_id"), "step_id")
    name = step.data.get("name")
    if not isinstance(name, str):
        return
    if "id" in step.data:
        del step.data["name"]
        put_title(step, name)
    else:
        step.put("id", slug(name), "name")
        del step.data["name"]
        if step.data["id"] != name:
            step.data.setdefault("description", name)
            step.data["id"] = step.data["id"] or name


def slug(text: str) -> str:
    """Make an id of a text."""
    return _OTHER.sub("_", text.strip()).strip("_")[:100]


def complete(steps: list[Any], path: str, moved: dict[str, str]) -> list[Any]:
    """Give an id to the steps of a scope that have none, and let references use ids.

    Args:
        steps: the canonical steps; anything else among them is left alone.
        path: where they stand in the canonical document.
        moved: where moved paths are noted.

    """
    taken = {step["id"] for step in steps if is_dict(step) and _has_id(step)}
    for index, step in enumerate(steps):
        if is_dict(step) and "id" not in step:
            step["id"] = _unique(_made_of(step), taken)
            taken.add(step["id"])
            here = join(path, index)
            moved[join(here, "id")] = moved.get(here, here)
        if is_dict(step) and step.get("output_to") == step["id"]:
            del step["output_to"]
    titles = {title: step["id"] for step in steps for title in _titles(step)}
    for step in steps:
        if is_dict(step):
            _use_ids(step, {t: i for t, i in titles.items() if t not in taken})
    return steps


def _has_id(step: Mapping[str, Any]) -> bool:
    return isinstance(step.get("id"), str)


def _titles(step: Any) -> list[str]:
    """Give what a step may be called besides its id: the name that its id was made of."""
    if not is_dict(step) or not _has_id(step):
        return []
    title = step.get("description")
    return [title] if isinstance(title, str) and slug(title) == step["id"] else []


def _use_ids(step: dict[str, Any], titles: Mapping[str, str]) -> None:
    needs = step.get("depends_on")
    if is_list(needs):
        step["depends_on"] = [titles.get(n, n) if isinstance(n, str) else n for n in needs]
    source = step.get("input_from")
    if isinstance(source, str):
        step["input_from"] = titles.get(source, source)


def _made_of(step: Mapping[str, Any]) -> str:
    texts = (step.get(key) for key in _SOURCES)
    made = next((slug(text) for text in texts if isinstance(text, str) and slug(text)), "")
    made = made or next((kind for kind in _KINDS if kind in step), "step")
    return f"{made}_step" if made in RESERVED else made


def _unique(wanted: str, taken: set[Any]) -> str:
    number = 1
    unique = wanted
    while unique in taken:
        number += 1
        unique = f"{wanted[:95]}_{number}"
    return unique
