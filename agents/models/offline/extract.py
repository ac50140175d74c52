"""An answer out of what was given: its most telling sentences, bullets and steps."""

import re
from collections import Counter
from dataclasses import dataclass, field
from math import log, sqrt

from stretto.agents.models.offline.documents import spelled_out

MOST_SENTENCES = 4
MOST_BULLETS = 4
DATA = re.compile(r"<data>\n?(.*)</data>", re.DOTALL)
_NUMBERED = re.compile(r"\d+[.)] ")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z“\"])")
_NOTHING = "There is nothing in the request to answer from."


@dataclass(slots=True)
class Section:
    """A part of the data under one heading."""

    title: str = ""
    prose: list[str] = field(default_factory=list[str])
    bullets: list[str] = field(default_factory=list[str])
    steps: list[str] = field(default_factory=list[str])


def count_tokens(text: str) -> int:
    """Count words and marks, the unit of this model's usage figures."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def extract_answer(request: str) -> str:
    """Build an answer from a request.

    The data is what stands between ``<data>`` and ``</data>``, or the whole request without them.
    Of every section under a ``##`` heading it keeps, in their order, the most telling sentences
    and bullets, and all numbered lines, because steps only make sense together.

    Args:
        request: the text of the last message.

    """
    match = DATA.search(request)
    sections = sections_of(spelled_out(match[1] if match else request))
    lines = [line for part in sections for line in (*part.prose, *part.bullets)]
    spread = Counter(word for line in lines for word in set(_words(line)))
    parts = [_written(section, spread, len(lines)) for section in sections]
    return "\n\n".join(part for part in parts if part) or _NOTHING


def sections_of(data: str) -> list[Section]:
    """Split a text at its headings."""
    sections = [Section()]
    for line in (line.strip() for line in data.splitlines()):
        if line.startswith("#"):
            sections.append(Section(line.lstrip("# ")))
        elif line.startswith(("- ", "* ")):
            sections[-1].bullets.append(line[2:].strip())
        elif _NUMBERED.match(line):
            sections[-1].steps.append(line)
        elif line:
            sections[-1].prose += _SENTENCE_END.split(line)
    return sections


def _written(section: Section, spread: Counter[str], total: int) -> str:
    prose = " ".join(_telling(section.prose, MOST_SENTENCES, spread, total))
    bullets = [f"- {line}" for line in _telling(section.bullets, MOST_BULLETS, spread, total)]
    body = "\n".join([*([prose] if prose else []), *bullets, *section.steps])
    titled = section.title and section.title.lower() != "summary"
    return f"**{section.title}**\n{body}" if titled and body else body


def _telling(lines: list[str], most: int, spread: Counter[str], total: int) -> list[str]:
    """Keep the lines that say most: rare words and figures, for their length; the first always."""
    if len(lines) <= most:
        return lines

    def weight(place: int) -> float:
        words = _words(lines[place])
        rare = sum(log(1 + total / spread[word]) for word in set(words))
        figures = sum(word.isdigit() for word in words)
        return (rare + figures) / sqrt(len(words) + 1)

    best = sorted(range(1, len(lines)), key=lambda place: (-weight(place), place))[: most - 1]
    return [lines[place] for place in sorted([0, *best])]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
