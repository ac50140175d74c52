"""From what a person types to a workflow: a file, or a shipped one by name."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stretto.errors import Fault, WorkflowInvalid

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry
    from stretto.graphs.spec import Workflow

SUFFIXES = frozenset({".yaml", ".yml", ".json", ".toml"})


def is_file_name(text: str) -> bool:
    """Tell a file from a name: by its suffix, by a separator, or because it is there."""
    path = Path(text)
    return path.suffix.lower() in SUFFIXES or len(path.parts) > 1 or path.is_file()


def find_workflow(text: str) -> "tuple[Workflow, Path | None]":
    """Give the workflow that ``text`` names, and its file if it is in one.

    Raises:
        WorkflowInvalid: there is none, or what is declared is wrong.

    """
    if is_file_name(text):
        from stretto.graphs.loading import load_file

        path = Path(text)
        return load_file(path), path
    from stretto.graphs.library import shipped

    return shipped().get(text), None


def check_agents(workflow: "Workflow", registry: "AgentRegistry", path: Path | None) -> None:
    """Refuse a workflow that needs agents nobody registered.

    Args:
        workflow: a workflow without other faults.
        registry: who there is.
        path: the file that it is from.

    Raises:
        WorkflowInvalid: an agent or a capability is missing.

    """
    faults = workflow.faults(registry)
    if faults:
        source = workflow.id if path is None else str(path)
        raise WorkflowInvalid(faults if path is None else located(faults, path), source)


def located(faults: Iterable[Fault], path: Path) -> list[Fault]:
    """Add to ``faults`` where they stand in the text of a file that loads."""
    from stretto.graphs.aliases import canonicalize
    from stretto.graphs.documents import parse_document
    from stretto.graphs.paths import position, source_path

    document = parse_document(path.read_bytes(), path.suffix.lstrip("."), str(path))
    _, moved = canonicalize(document.data)
    placed: list[Fault] = []
    for fault in faults:
        written = source_path(fault.path, moved)
        line, column = position(written, document.positions) or (None, None)
        placed.append(replace(fault, path=written, line=line, column=column))
    return placed
