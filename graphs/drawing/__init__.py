"""Drawings of what is declared: Mermaid, terminal text, JSON and SVG; no network, no binaries."""

from stretto.graphs.drawing.ascii import to_ascii
from stretto.graphs.drawing.document import to_json
from stretto.graphs.drawing.mermaid import to_mermaid
from stretto.graphs.drawing.svg import to_svg

__all__ = ["to_ascii", "to_json", "to_mermaid", "to_svg"]
