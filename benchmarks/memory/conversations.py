"""Conversations with labelled evidence, in the format of LoCoMo, and what to ask about them.

LoCoMo: Maharana et al., "Evaluating Very Long-Term Conversational Memory of LLM Agents", 2024.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MULTI_HOP, TEMPORAL, OPEN_DOMAIN, SINGLE_HOP, ADVERSARIAL = 1, 2, 3, 4, 5
DATE = "%I:%M %p on %d %B, %Y"


@dataclass(frozen=True, slots=True)
class Said:
    """One turn; ``id`` is ``D3:7`` for the seventh of the third session."""

    id: str
    author: str
    text: str
    at: float

    @property
    def session(self) -> str:
        """The part of the id that names the session."""
        return self.id.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the turns that hold the answer."""

    text: str
    category: int
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Sessions of turns, in order, and the questions about them."""

    name: str
    sessions: tuple[tuple[Said, ...], ...]
    questions: tuple[Question, ...]


def read_conversations(path: Path) -> list[Conversation]:
    """Read a file; questions without evidence that exists are left out."""
    return [_conversation(each) for each in json.loads(path.read_text(encoding="utf-8"))]


def _conversation(sample: dict[str, Any]) -> Conversation:
    sessions = tuple(_sessions(sample["conversation"]))
    known = {turn.id for session in sessions for turn in session}
    questions = (_question(each, known) for each in sample["qa"])
    return Conversation(
        sample["sample_id"], sessions, tuple(each for each in questions if each.evidence)
    )


def _sessions(conversation: dict[str, Any]) -> Iterator[tuple[Said, ...]]:
    names = [name for name in conversation if re.fullmatch(r"session_\d+", name)]
    for name in sorted(names, key=lambda name: int(name.rpartition("_")[2])):
        at = datetime.strptime(conversation[f"{name}_date_time"], DATE).replace(tzinfo=UTC)
        yield tuple(_said(turn, at.timestamp()) for turn in conversation[name])


def _said(turn: dict[str, Any], at: float) -> Said:
    caption = turn.get("blip_caption")
    text = f"{turn['text']} [{caption}]" if caption else turn["text"]
    return Said(turn["dia_id"], turn["speaker"], text, at)


def _question(asked: dict[str, Any], known: set[str]) -> Question:
    ids = re.findall(r"D\d+:\d+", " ".join(asked["evidence"]))
    return Question(asked["question"], asked["category"], frozenset(ids) & known)
