"""How large a workflow may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep a hostile or runaway document from costing more than a moment."""

    size: int = 1_000_000
    """Bytes of the text."""
    nodes: int = 50_000
    """Keys, values and items of the document."""
    depth: int = 50
    """Levels of mappings and lists inside each other."""
    steps: int = 500
    """Steps of the whole document, nested ones included."""
    items: int = 1_000
    """Items that one map step is given literally."""
    faults: int = 100
    """Faults that are listed before the report is cut."""


LIMITS = Limits()
"""The limits everywhere unless somebody sets others."""
