"""JSON as plain data with positions."""

import json
import math
import re
from bisect import bisect_right
from typing import Any

from stretto.graphs.documents.faults import Findings, Refused
from stretto.graphs.paths import join

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_WORD = re.compile(r"[A-Za-z_+.-][A-Za-z0-9_+.-]*")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_LONGEST_NUMBER = 400


def read_json(text: str, findings: Findings) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Read a JSON text strictly: no duplicate keys, no NaN, nothing after the value.

    Args:
        text: the text.
        findings: where faults go.

    Raises:
        Refused: reading on is pointless.

    """
    reader = _Reader(text, findings)
    data = reader.value("", 0)
    reader.space()
    if reader.index < len(text):
        raise reader.syntax("There is text after the end of the document; remove it.")
    return data, reader.positions


class _Reader:
    def __init__(self, text: str, findings: Findings) -> None:
        self.text = text
        self.findings = findings
        self.index = 0
        self.nodes = 0
        self.positions: dict[str, tuple[int, int]] = {}
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, index: int) -> tuple[int, int]:
        line = bisect_right(self.line_starts, index)
        return line, index - self.line_starts[line - 1] + 1

    def syntax(self, message: str) -> Refused:
        return self.findings.refuse("syntax", message, at=self.at(self.index))

    def space(self) -> str:
        match = _SPACE.match(self.text, self.index)
        self.index = match.end() if match else self.index
        return self.text[self.index : self.index + 1]

    def count(self, path: str) -> None:
        self.nodes += 1
        if self.nodes > self.findings.limits.nodes:
            raise self.findings.too_many_nodes(path, self.at(self.index))

    def value(self, path: str, depth: int) -> Any:
        start = self.space()
        self.count(path)
        self.positions.setdefault(path, self.at(self.index))
        if start in ("{", "["):
            if depth >= self.findings.limits.depth:
                raise self.findings.too_deep(path, self.at(self.index))
            self.index += 1
            return self.mapping(path, depth + 1) if start == "{" else self.array(path, depth + 1)
        return self.string() if start == '"' else self.scalar(path)

    def mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.closes("}"):
            return found
        while True:
            if self.space() != '"':
                raise self.syntax("A key in double quotes was expected here.")
            at = self.at(self.index)
            key = self.string()
            inner = join(path, key)
            self.count(inner)
            if key in found:
                message = f"The key '{key}' is given twice; keep one."
                self.findings.add("duplicate_key", message, inner, at)
            self.positions.setdefault(inner, at)
            self.expect(":")
            found[key] = self.value(inner, depth)
            if not self.goes_on("}"):
                return found

    def array(self, path: str, depth: int) -> list[Any]:
        items: list[Any] = []
        if self.closes("]"):
            return items
        while True:
            items.append(self.value(join(path, len(items)), depth))
            if not self.goes_on("]"):
                return items

    def closes(self, bracket: str) -> bool:
        closed = self.space() == bracket
        self.index += closed
        return closed

    def expect(self, sign: str) -> None:
        if self.space() != sign:
            raise self.syntax(f"'{sign}' was expected here.")
        self.index += 1

    def goes_on(self, bracket: str) -> bool:
        sign = self.space()
        if sign not in (",", bracket) or not sign:
            raise self.syntax(f"',' or '{bracket}' was expected here.")
        self.index += 1
        return sign == ","

    def string(self) -> str:
        match = _STRING.match(self.text, self.index)
        if not match:
            raise self.syntax("This text is not closed, or holds a control character.")
        try:
            text: str = json.loads(match[0])
            text.encode()
        except ValueError:
            raise self.syntax("This text holds an escape that is not valid.") from None
        self.index = match.end()
        return text

    def scalar(self, path: str) -> Any:
        if match := _NUMBER.match(self.text, self.index):
            return self.number(match, path)
        match = _WORD.match(self.text, self.index)
        word = match[0] if match else ""
        if word.strip("+-") in ("NaN", "Infinity"):
            raise self.findings.refuse(
                "not_finite", f"{word} is no JSON value.", path, self.at(self.index)
            )
        if word not in _WORDS:
            raise self.syntax(f"A value was expected here{f', not {word}' if word else ''}.")
        self.index += len(word)
        return _WORDS[word]

    def number(self, match: re.Match[str], path: str) -> int | float:
        at = self.at(self.index)
        if len(match[0]) > _LONGEST_NUMBER:
            raise self.syntax("This number is too long.")
        number = float(match[0]) if match[1] or match[2] else int(match[0])
        self.index = match.end()
        if not math.isfinite(number):
            self.findings.add("not_finite", f"{match[0]} is too large a number.", path, at)
        return number
