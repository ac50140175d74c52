"""Files, texts and plain data as workflows; what is wrong with them comes all at once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stretto.errors import Fault, WorkflowInvalid
from stretto.graphs.aliases import canonicalize
from stretto.graphs.documents import FORMATS, check_document, parse_document
from stretto.graphs.limits import LIMITS
from stretto.graphs.paths import position, source_path
from stretto.graphs.salvage import Salvaged, salvage
from stretto.graphs.spec import Workflow
from stretto.graphs.validation import Known, find_faults

Positions = Mapping[str, tuple[int, int]]
_STEP_TEXTS = frozenset({"no_kind", "several_kinds", "not_yet_available", "unknown_name"})
"""Faults that may only follow from a fault in the form of the same step."""
_GRAPH_TEXTS = _STEP_TEXTS | {"unknown_step", "unreachable_step"}
"""Faults that may only follow from a fault in the names or needs of any step."""
_NAMING = ("id", "output_to", "depends_on", "input_from", "steps")


def load_file(path: str | Path, workflows: Known = None) -> Workflow:
    """Read a workflow from a file.

    Args:
        path: a YAML, JSON or TOML file; its suffix names the format.
        workflows: the workflows that may be used as steps; the shipped ones if None.

    Raises:
        WorkflowInvalid: the file cannot be read, or what it declares is wrong.

    """
    file = Path(path)
    kind = FORMATS.get(file.suffix.lower().lstrip("."))
    if kind is None:
        message = f"'{file.name}' is no .yaml, .yml, .json or .toml file."
        raise WorkflowInvalid([Fault("", "unknown_format", message)], str(path))
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):  # a pipe has no end
            raise ValueError("it is no regular file")
        with file.open("rb") as stream:
            text = stream.read(LIMITS.size + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"The file cannot be read: {reason}."
        raise WorkflowInvalid([Fault("", "unreadable", message)], str(path)) from None
    return load_text(text, kind, str(path), workflows)


def load_text(
    text: bytes | str, format: str, source: str = "workflow", workflows: Known = None
) -> Workflow:
    """Read a workflow from a text.

    Args:
        text: the text; bytes are UTF-8.
        format: ``yaml``, ``json`` or ``toml``.
        source: what to call the text in messages.
        workflows: the workflows that may be used as steps; the shipped ones if None.

    Raises:
        WorkflowInvalid: what it declares is wrong; faults have lines and columns for YAML and JSON.

    """
    document = parse_document(text, format, source)
    return _load(document.data, source, document.positions, workflows)


def load_document(
    document: Mapping[str, Any], source: str = "workflow", workflows: Known = None
) -> Workflow:
    """Read a workflow from plain data.

    Args:
        document: the data, in any documented form; it is not changed.
        source: what to call it in messages.
        workflows: the workflows that may be used as steps; the shipped ones if None.

    Raises:
        WorkflowInvalid: what it declares is wrong.

    """
    return _load(document, source, {}, workflows)


def _load(data: Mapping[str, Any], source: str, positions: Positions, workflows: Known) -> Workflow:
    check_document(data, source)
    canonical, moved = canonicalize(data)
    try:
        workflow = Workflow.model_validate(canonical)
    except ValidationError:
        salvaged = salvage(canonical)
        faults = [*salvaged.faults, *_meant(salvaged, workflows)]
    else:
        faults = find_faults(workflow, workflows=workflows)
        if not faults:
            return workflow
    placed = [_placed(fault, moved, positions) for fault in faults]
    raise WorkflowInvalid(sorted(placed, key=lambda f: (f.line or 0, f.column or 0)), source)


def _meant(salvaged: Salvaged, workflows: Known) -> list[Fault]:
    """Find what is wrong besides the form, without what only follows from the form."""
    if salvaged.workflow is None:
        return []
    formal = [fault.path for fault in salvaged.faults if fault.code != "unknown_key"]
    naming = any(path.rpartition(".")[2].split("[")[0] in _NAMING for path in formal)
    found = find_faults(salvaged.workflow, workflows=workflows)
    return [fault for fault in found if not _follows(fault, formal, naming)]


def _follows(fault: Fault, formal: list[str], naming: bool) -> bool:
    if naming and fault.code in _GRAPH_TEXTS:
        return True
    if any(fault.path.startswith(path) for path in formal):
        return True
    return fault.code in _STEP_TEXTS and any(path.startswith(_step(fault.path)) for path in formal)


def _step(path: str) -> str:
    """Give the path of the innermost step that a path is in."""
    head, bracket, _ = path.rpartition("]")
    return head + bracket if bracket and "steps[" in path or "on_failure[" in path else path


def _placed(fault: Fault, moved: Mapping[str, str], positions: Positions) -> Fault:
    path = source_path(fault.path, moved)
    line, column = position(path, positions) or (None, None)
    return replace(fault, path=path, line=line, column=column)
