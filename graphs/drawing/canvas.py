"""A grid of characters on which lines join where they meet."""

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = {
    _UP: "│",
    _DOWN: "│",
    _LEFT: "─",
    _RIGHT: "─",
    _UP | _DOWN: "│",
    _LEFT | _RIGHT: "─",
    _DOWN | _RIGHT: "┌",
    _DOWN | _LEFT: "┐",
    _UP | _RIGHT: "└",
    _UP | _LEFT: "┘",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _LEFT | _RIGHT: "┴",
    15: "┼",
}


class Canvas:
    """Rows and columns from 0; what is not drawn on is blank."""

    def __init__(self) -> None:
        """Start blank."""
        self._signs: dict[tuple[int, int], str] = {}
        self._lines: dict[tuple[int, int], int] = {}

    def text(self, row: int, column: int, text: str) -> None:
        """Write a text over whatever is there."""
        for offset, sign in enumerate(text):
            self._signs[row, column + offset] = sign

    def vertical(self, column: int, top: int, bottom: int) -> None:
        """Draw a line down; both ends belong to it."""
        for row in range(top, bottom + 1):
            self._add(row, column, (_UP if row > top else 0) | (_DOWN if row < bottom else 0))

    def horizontal(self, row: int, start: int, end: int) -> None:
        """Draw a line across, in either direction."""
        first, last = sorted((start, end))
        for column in range(first, last + 1):
            arms = (_LEFT if column > first else 0) | (_RIGHT if column < last else 0)
            self._add(row, column, arms)

    def _add(self, row: int, column: int, arms: int) -> None:
        self._lines[row, column] = self._lines.get((row, column), 0) | arms

    def rows(self) -> list[str]:
        """Give what is drawn, without blanks at the ends."""
        drawn = {place: _LINES.get(arms, " ") for place, arms in self._lines.items()}
        drawn.update(self._signs)
        height = max((row for row, _ in drawn), default=-1) + 1
        rows: list[str] = []
        for row in range(height):
            columns = {column: sign for (at, column), sign in drawn.items() if at == row}
            width = max(columns, default=-1) + 1
            rows.append("".join(columns.get(column, " ") for column in range(width)).rstrip())
        return rows
