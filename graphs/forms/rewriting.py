"""One mapping on its way to the canonical form, which remembers where everything stood."""

from collections.abc import Callable, Mapping
from typing import Any

from stretto.graphs.paths import join, source_path
from stretto.graphs.plaindata import is_mapping

Change = Callable[[Any, str, str], Any]
"""Takes a value, its source path and its canonical path; gives the canonical value."""


class Rewrite:
    """A copy of a mapping whose keys are renamed and replaced; the source stays untouched."""

    def __init__(
        self,
        data: Mapping[str, Any],
        source: str,
        path: str,
        moved: dict[str, str],
        *,
        keep_none: bool = False,
    ) -> None:
        """Copy ``data``; keys without a value mean the default and are left out.

        Args:
            data: the mapping as it is written.
            source: its path in the source.
            path: its path in the canonical document.
            moved: where moved paths are noted.
            keep_none: keep keys without a value, where None says something.

        """
        self.data = {k: v for k, v in data.items() if keep_none or v is not None or k in _NULLABLE}
        self.source = source
        self.path = path
        self.moved = moved
        if source != path:
            moved[path] = source

    def rename(self, table: Mapping[str, str]) -> None:
        """Rename the keys of a table, unless the canonical key is there already."""
        for alias, key in table.items():
            if alias in self.data and key not in self.data:
                self.put(key, self.data.pop(alias), alias)

    def put(self, key: str, value: Any, origin: str | None = None) -> None:
        """Set a key; ``origin`` is what it is called in the source, the whole mapping if None."""
        self.data[key] = value
        at = join(self.source, origin) if origin else self.source
        self.moved[join(self.path, key)] = source_path(at, {})

    def replace(self, key: str, change: Change) -> None:
        """Replace the value of a key, if it is there, by what ``change`` makes of it."""
        if key in self.data:
            path = join(self.path, key)
            self.data[key] = change(self.data[key], source_path(path, self.moved), path)

    def pop_mapping(self, key: str) -> dict[str, Any] | None:
        """Take a key out when its value is a mapping; None when there is no such one."""
        value = self.data.get(key)
        if not is_mapping(value):
            return None
        del self.data[key]
        return {str(name): item for name, item in value.items()}


_NULLABLE = frozenset({"output", "input"})
