"""Collecting what is wrong with a text while it is read."""

import re

from stretto.errors import Fault
from stretto.graphs.limits import Limits
from stretto.graphs.paths import join, split

_NESTED = re.compile(r"(?:[\[{][ \t\r\n]*){51}")


class Refused(Exception):
    """Reading stops here; the last fault of the list says why."""


class Findings:
    """The faults of one text, in the order in which they were found."""

    def __init__(self, limits: Limits) -> None:
        """Start with none; ``limits`` bounds how many are kept."""
        self.limits = limits
        self.faults: list[Fault] = []

    def add(
        self, code: str, message: str, path: str = "", at: tuple[int, int] | None = None
    ) -> None:
        """Note a fault at a (line, column), unless so many are known that more do not help."""
        if len(self.faults) < self.limits.faults:
            line, column = at or (None, None)
            self.faults.append(Fault(path, code, message, line, column))

    def once(
        self, code: str, message: str, path: str = "", at: tuple[int, int] | None = None
    ) -> None:
        """Note a fault unless one of its code is there already."""
        if all(fault.code != code for fault in self.faults):
            self.add(code, message, path, at)

    def refuse(
        self, code: str, message: str, path: str = "", at: tuple[int, int] | None = None
    ) -> Refused:
        """Note a fault that makes reading on pointless; raise what this returns."""
        line, column = at or (None, None)
        self.faults.append(Fault(path, code, message, line, column))
        return Refused(code)

    def too_deep(self, path: str, at: tuple[int, int] | None = None) -> Refused:
        """Refuse a document that is nested too deeply."""
        message = f"More than {self.limits.depth} levels inside each other; flatten the document."
        return self.refuse("too_deep", message, join("", *split(path)[:1]), at)

    def guard_brackets(self, text: str) -> None:
        """Refuse a text with so many opening brackets in a row that no parser should see it.

        Raises:
            Refused: it has.

        """
        if _NESTED.search(text):
            raise self.too_deep("")

    def too_many_nodes(self, path: str, at: tuple[int, int] | None = None) -> Refused:
        """Refuse a document with too many values."""
        message = f"More than {self.limits.nodes:,} keys and values; split the workflow."
        return self.refuse("too_many_nodes", message, path, at)
