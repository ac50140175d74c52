"""Forms of the workflow as a whole."""

from collections.abc import Mapping
from typing import Any

from stretto.graphs.forms.rewriting import Rewrite
from stretto.graphs.paths import join
from stretto.graphs.plaindata import is_list, is_mapping

OUTPUT_KEYS = frozenset({"format", "include_agent_outputs", "save_to_file"})
SUFFIXES = {"structured": "json", "json": "json", "text": "txt", "markdown": "md"}
"""Output formats, and what a saved file of each is called."""


def take_name(top: Rewrite) -> None:
    """Take ``workflow_id`` for the name; a name that stands beside it is a title."""
    identity = top.data.get("workflow_id")
    if not isinstance(identity, str):
        return
    name = top.data.get("name")
    if isinstance(name, str):
        put_title(top, name)
    del top.data["workflow_id"]
    top.put("name", identity, "workflow_id")


def put_title(mapping: Rewrite, title: str) -> None:
    """Keep a title that is no id as (the beginning of) the description."""
    description = mapping.data.get("description")
    if isinstance(description, str) and description:
        mapping.data["description"] = f"{title}: {description}"
    elif not description:
        mapping.put("description", title, "name")


def lower_words(top: Rewrite) -> None:
    """Accept priorities and modes in capitals, as enumerations are often written."""
    for key in ("priority", "mode"):
        top.replace(key, lambda word, _at, _to: word.lower() if isinstance(word, str) else word)


def drop_agents(top: Rewrite) -> None:
    """Drop the list of all agents that steps name: it says nothing that the steps do not."""
    agents = top.data.get("agents")
    if is_list(agents) and all(isinstance(a, str) for a in agents):
        del top.data["agents"]


def take_error_handling(top: Rewrite) -> None:
    """Spread ``error_handling`` over the defaults and the workflow."""
    handling = top.pop_mapping("error_handling")
    if handling is None:
        return
    source = join(top.source, "error_handling")
    defaults = top.data.get("defaults", {})
    if isinstance(handling.get("continue_on_error"), bool) and is_mapping(defaults):
        if handling.pop("continue_on_error"):
            top.data["defaults"] = {"on_error": "continue", **defaults}
            top.moved[join(top.path, "defaults", "on_error")] = join(source, "continue_on_error")
    for key in ("fallback_workflow", "max_total_retries"):
        if key in handling and key not in top.data:
            value = handling.pop(key)
            if value is not None:
                top.put(key, value, "error_handling")
                top.moved[join(top.path, key)] = join(source, key)
    if handling:
        top.data["error_handling"] = handling


def take_output(top: Rewrite) -> None:
    """Read ``output`` as settings when it is them and not a template."""
    output = top.data.get("output")
    if not is_mapping(output) or not _is_settings(output):
        return
    settings = dict(output)
    source = join(top.source, "output")
    del top.data["output"]
    suffix = SUFFIXES[settings.pop("format", "structured")]
    saved = settings.pop("save_to_file", None)
    if saved:
        top.put("save_output", saved if isinstance(saved, str) else f"${{run.id}}.{suffix}")
        top.moved[join(top.path, "save_output")] = join(source, "save_to_file")
    if settings.pop("include_agent_outputs", False):
        top.put("output", _all_outputs(top.data.get("steps")))
        top.moved[join(top.path, "output")] = join(source, "include_agent_outputs")


def _is_settings(output: Mapping[str, Any]) -> bool:
    if not output or not OUTPUT_KEYS.issuperset(output):
        return False
    known = output.get("format", "structured") in SUFFIXES
    flags = isinstance(output.get("include_agent_outputs", False), bool)
    return known and flags and isinstance(output.get("save_to_file", False), bool | str)


def _all_outputs(steps: Any) -> dict[str, str]:
    named = [step for step in steps or () if is_mapping(step)]
    ids = [str(step["id"]) for step in named if "id" in step]
    return {name: reference(name) for name in ids}


def reference(name: str) -> str:
    """Write the template text that stands for a step's output."""
    return (
        f"${{{name}}}" if name.isidentifier() and name.isascii() else f'${{steps["{name}"].output}}'
    )
