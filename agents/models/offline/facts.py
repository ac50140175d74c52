"""What a text says about a name: in JSON, in ``key: value`` lines, under headings, in passing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stretto.agents.models.offline.documents import (
    documents_in,
    is_list,
    is_object,
    left_out,
    said,
    spelled_out,
)
from stretto.agents.models.offline.extract import DATA, Section, sections_of

_ITEM = r"[ \t]*(?:[-*]|\d+[.)])[ \t]+"
_KEY = r"[*_`\"]*([A-Za-z][\w .'-]{0,40}?)[*_`\"]*[ \t]*"
# No ``_ITEM``, which could share a long row of blanks with what stands before it in many ways.
_LINE = re.compile(rf"^[ \t]*(?:(?:[-*]|\d+[.)])[ \t]+)?{_KEY}[:=][*_` \t]*(\S.*)$", re.MULTILINE)
_BLOCK = re.compile(rf"^[ \t]*{_KEY}:[*_` \t]*\n((?:{_ITEM}\S.*(?:\n|\Z))+)", re.MULTILINE)
"""A line ``key:`` with a list below it."""
_QUOTES = "\"'`*"
_VALUE = r"(\"[^\"\n]*\"|'[^'\n]*'|[^,;()\n]+)"
# It begins where digits begin, so that a long row of them is looked at once.
_NUMBER = r"(?<!\d)(-?\d[\d,]*(?:\.\d+)?)"
_STEP = re.compile(r"^\d+[.)]\s+")


def words_of(name: str) -> tuple[str, ...]:
    """Split a name into its words: ``accountId``, ``account_id`` and ``Account ID`` are equal."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return tuple(re.findall(r"[^\W_]+", parted.lower()))


@dataclass(frozen=True)
class Facts:
    """Everything that one text, or one JSON value, has to say."""

    text: str
    """What can be searched for words and numbers in passing."""
    documents: tuple[Any, ...] = ()
    """The JSON values, outer ones only."""
    lines: str = ""
    """Where ``key: value`` lines, headings and bullets count: the text without its JSON."""

    def and_then(self, other: "Facts") -> "Facts":
        """Add what somebody else says; in doubt the first one is right."""
        text, lines = (
            f"{a}\n\n{b}" for a, b in ((self.text, other.text), (self.lines, other.lines))
        )
        return Facts(text, (*self.documents, *other.documents), lines)

    @cached_property
    def pairs(self) -> dict[tuple[str, ...], str]:
        """The values of ``key: value`` lines by the words of the key; the first one counts."""
        pairs: dict[tuple[str, ...], str] = {}
        for key, value in _LINE.findall(self.lines):
            pairs.setdefault(words_of(key), _bare(value))
        return pairs

    @cached_property
    def blocks(self) -> dict[tuple[str, ...], list[str]]:
        """The lists below a line ``key:``, by the words of the key."""
        found = _BLOCK.findall(self.lines)
        return {words_of(key): _items(block) for key, block in reversed(found)}

    @cached_property
    def sections(self) -> list[Section]:
        """The text, split at its headings."""
        return sections_of(self.lines)

    @property
    def lists(self) -> list[str]:
        """All bullets, or all numbered lines where there are none."""
        bullets = [line for part in self.sections for line in part.bullets]
        return bullets or [step for part in self.sections for step in steps_in(part)]

    @property
    def rows(self) -> Iterator[Any]:
        """Give the objects in the lists that stand at the top, or under a key there."""
        for document in self.documents:
            values = list(document.values()) if is_object(document) else []
            for value in [document, *values]:
                if is_list(value):
                    yield from (row for row in value if is_object(row))

    def about(self, name: str) -> Iterator[Any]:
        """Give what may be the value of a name, the surest first."""
        words = words_of(name)
        if not words:
            return
        for document in self.documents:
            yield from _within(document, words, ())
        if words in self.blocks:
            yield self.blocks[words]
        if words in self.pairs:
            yield self.pairs[words]
        for part in self.sections:
            if words_of(part.title) == words:
                yield from _content(part)
        for value in re.findall(rf"\b{_spaced(words)}\s*[:=]\s*{_VALUE}", self.text, re.I):
            yield _bare(value)

    def numbers_near(self, name: str) -> Iterator[float]:
        """Give the numbers that stand after or before a name or its last word."""
        words = words_of(name)
        for known in dict.fromkeys([words, words[-1:]]):
            if not known:
                return
            spot = _spaced(known)
            after = rf"\b{spot}\b[^\d\n]{{0,30}}?{_NUMBER}"
            before = rf"{_NUMBER}%?\s+(?:[^\W\d]+\s+){{0,2}}{spot}\b"
            for pattern in (after, before):
                for found in re.findall(pattern, self.text, re.I):
                    yield float(found.replace(",", ""))

    def says_yes(self, name: str) -> bool | None:
        """Tell whether a yes or a no stands right after a name; None if neither does."""
        words = words_of(name)
        verb = r"\W{0,3}(?:is|are|was)?\W{0,3}"
        pattern = rf"\b{_spaced(words)}\b{verb}(yes|true|no|false|not)\b"
        found = re.search(pattern, self.text, re.I) if words else None
        return None if found is None else found[1].lower() in ("yes", "true")

    def first_of(self, choices: Sequence[str], name: str) -> str | None:
        """Give the choice that stands nearest behind a name, or else first in the text."""
        spots: list[tuple[int, int, str]] = []
        named = re.search(rf"\b{_spaced(words_of(name))}\b", self.text, re.I) if name else None
        for choice in choices:
            words = words_of(choice)
            found = list(re.finditer(rf"\b{_spaced(words)}\b", self.text, re.I)) if words else []
            for spot in found:
                close = named is not None and 0 <= spot.start() - named.end() <= 20
                spots.append((0 if close else 1, spot.start(), choice))
        return min(spots)[2] if spots else None


def facts_of(text: str) -> Facts:
    """Read a request; of one with ``<data>`` only that part counts."""
    match = DATA.search(text)
    data = match[1] if match else text
    return Facts(spelled_out(data), tuple(documents_in(data)), left_out(data))


def facts_of_item(item: Any) -> Facts:
    """Read one JSON value, or one line of a list."""
    if is_object(item) or is_list(item):
        return Facts(spelled_out(said(item)), (item,))
    return Facts(_STEP.sub("", said(item)))


def steps_in(section: Section) -> list[str]:
    """Give the numbered lines of a section without their numbers."""
    return [_STEP.sub("", step) for step in section.steps]


def _items(block: str) -> list[str]:
    return [re.sub(rf"^{_ITEM}", "", line).strip() for line in block.splitlines()]


def _content(part: Section) -> Iterator[Any]:
    if items := [*part.bullets, *steps_in(part)]:
        yield items
    if part.prose:
        yield " ".join(part.prose)


def _within(value: Any, words: tuple[str, ...], above: tuple[str, ...]) -> Iterator[Any]:
    """Look for a key, or for a key inside of another that together make the name."""
    if is_object(value):
        items = [(words_of(str(key)), v) for key, v in value.items()]
        yield from (v for key, v in items if key == words or (above and above + key == words))
        for key, inner in items:
            yield from _within(inner, words, key)
    elif is_list(value):
        for inner in value:
            yield from _within(inner, words, above)


def _spaced(words: Sequence[str]) -> str:
    return r"[\s_-]*".join(map(re.escape, words))


def _bare(value: str) -> str:
    text = value.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text.strip(_QUOTES).rstrip(".").strip()
