"""The shipped workflows, and any others, by name and version."""

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from stretto.errors import Fault, WorkflowInvalid
from stretto.graphs.loading import load_text
from stretto.graphs.names import nearest
from stretto.graphs.spec import Workflow

_NUMBERS = re.compile(r"\d+")


class Library:
    """Workflows by name; several versions of one live side by side."""

    def __init__(self, workflows: Iterable[Workflow] = ()) -> None:
        """Start with ``workflows``."""
        self._versions: dict[str, dict[str, Workflow]] = {}
        self._unread: dict[str, list[Callable[[], Workflow]]] = {}
        for workflow in workflows:
            self.add(workflow)

    def add(self, workflow: Workflow) -> None:
        """Add a workflow; one of the same name and version is replaced."""
        self._versions.setdefault(workflow.id, {})[workflow.version] = workflow

    def add_lazily(self, name: str, read: Callable[[], Workflow]) -> None:
        """Add a workflow that is read when it is first asked for.

        Args:
            name: its id.
            read: gives the workflow.

        """
        self._unread.setdefault(name, []).append(read)

    def names(self) -> tuple[str, ...]:
        """List the ids, sorted."""
        return tuple(sorted({*self._versions, *self._unread}))

    def versions(self, name: str) -> tuple[str, ...]:
        """List the versions of a workflow, oldest first."""
        return tuple(sorted(self._read(_slug(name)), key=_order))

    def get(self, reference: str) -> Workflow:
        """Get the newest workflow that matches; one before a release only if there is no other.

        Args:
            reference: ``name``, ``name@1``, ``name@1.2`` or ``name@1.2.0``; the name or its id.

        Raises:
            WorkflowInvalid: there is none, or what is shipped under the name is wrong.

        """
        name, _, version = reference.partition("@")
        found = self._read(_slug(name))
        matching = [v for v in found if _matches(v, version)]
        released = [v for v in matching if "-" not in v]
        matching = released or matching
        if not matching:
            raise WorkflowInvalid([self._unknown(reference, found)], reference)
        return found[max(matching, key=_order)]

    def __contains__(self, reference: object) -> bool:
        """Tell whether there is a workflow of this name (and version)."""
        if not isinstance(reference, str):
            return False
        name, _, version = reference.partition("@")
        if not version:
            return _slug(name) in self.names()
        return any(_matches(known, version) for known in self._read(_slug(name)))

    def _read(self, name: str) -> dict[str, Workflow]:
        for read in self._unread.pop(name, ()):
            workflow = read()
            self._versions.setdefault(name, {}).setdefault(workflow.version, workflow)
        return self._versions.get(name, {})

    def _unknown(self, reference: str, found: Iterable[str]) -> Fault:
        name, _, version = reference.partition("@")
        names = self.names()
        if found and version:
            known = tuple(sorted(found, key=_order))
            message = f"There is no version {version} of '{name}'; there are {', '.join(known)}."
            return Fault("", "unknown_workflow", message, allowed=known)
        message = f"There is no workflow '{name}'; there are {', '.join(names) or 'none'}."
        hint = nearest(_slug(name), names)
        return Fault("", "unknown_workflow", message, nearest=hint, allowed=names)


class _Shipped(Library):
    """The library of the package; its files are named by their workflow's id."""

    @cached_property
    def folder(self) -> Traversable:
        return files("stretto.graphs.library")


def shipped() -> Library:
    """Give the shipped workflows; each is read when it is first asked for."""
    library = _Shipped()
    for file in sorted(library.folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            library.add_lazily(file.name.removesuffix(".yaml"), _reader(file))
    return library


def _reader(file: Traversable) -> Callable[[], Workflow]:
    return lambda: load_text(file.read_bytes(), "yaml", file.name)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _matches(version: str, wanted: str) -> bool:
    if not wanted or version == wanted:
        return True
    return version.split("+")[0].startswith(f"{wanted}.") and "-" not in version


def _order(version: str) -> tuple[list[int], bool, str]:
    core, _, pre = version.partition("+")[0].partition("-")
    return [int(number) for number in _NUMBERS.findall(core)], not pre, pre
