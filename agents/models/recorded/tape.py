"""The file of recorded calls: one call per line, found again by what was asked."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from os import SEEK_END
from pathlib import Path
from typing import Any, cast

from filelock import FileLock
from langchain_core.messages import AIMessageChunk, message_to_dict, messages_from_dict

from stretto.agents.models.recorded.request import Request
from stretto.errors import ConfigurationError, StepFailed

MOST_DIFFERENCES = 20
"""How many lines of a difference are shown."""
WIDEST = 160
"""How many characters of such a line are shown."""
_FLEETING = ("headers", "id", "created", "request_id")
"""Metadata of an answer that is not kept: it may tell secrets, or says nothing later."""


class NotRecorded(StepFailed):
    """A call was asked that is not among the recorded ones."""

    code = "not_recorded"


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call."""

    line: int
    request: Request
    answer: tuple[AIMessageChunk, ...]


class Tape:
    """The recorded calls of one file."""

    def __init__(self, path: Path, calls: Sequence[Call] = ()) -> None:
        """Keep ``calls``, in the order of the file; to record, none are needed."""
        self.path = path
        self._calls: dict[str, list[Call]] = {}
        for call in calls:
            self._calls.setdefault(call.request.key, []).append(call)
        self._played = Counter[str]()
        self._lock = threading.Lock()

    @property
    def models(self) -> list[str]:
        """The models whose calls are here."""
        return sorted({str(calls[0].request.content["model"]) for calls in self._calls.values()})

    def play(self, request: Request) -> tuple[AIMessageChunk, ...]:
        """Give the recorded answer, piece by piece.

        What was asked several times is answered in the recorded order, then as the last time.

        Raises:
            NotRecorded: the call is not here; the message shows the nearest one.

        """
        key = request.key
        if key not in self._calls:
            raise NotRecorded(self._miss(request))
        with self._lock:
            place = min(self._played[key], len(self._calls[key]) - 1)
            self._played[key] += 1
        return self._calls[key][place].answer

    def append(self, request: Request, answer: Sequence[AIMessageChunk]) -> None:
        """Add one call to the end of the file, whoever else adds to it at the same time."""
        pieces = [_kept(piece) for piece in answer]
        entry = {"key": request.key, "request": request.content, "answer": pieces}
        line = json.dumps(entry, ensure_ascii=False, default=str)
        # A lone surrogate, which UTF-8 cannot hold, becomes the escape that JSON has for it.
        text = f"{line}\n".encode(errors="backslashreplace")
        with self._lock, FileLock(f"{self.path}.lock"), self.path.open("a+b") as file:
            if file.tell() and (file.seek(-1, SEEK_END), file.read(1))[1] != b"\n":
                file.write(b"\n")  # who wrote last was stopped midway; that line alone is lost
            file.write(text)

    def _miss(self, request: Request) -> str:
        asked = request.lines()
        words = SequenceMatcher[str](None, b=" ".join(asked).split(), autojunk=False)
        best, nearest = -1.0, next(iter(self._calls.values()))[0]
        for [call, *_] in self._calls.values():
            words.set_seq1(" ".join(call.request.lines()).split())
            if words.real_quick_ratio() > best and words.quick_ratio() > best:
                best, nearest = max((best, nearest), (words.ratio(), call), key=lambda it: it[0])
        difference = list(_shortened(nearest.request.lines(), asked))
        return "\n".join(
            [
                f"This call is not recorded in {self.path}. The nearest of {len(self._calls)} "
                f"is in line {nearest.line}, {best:.0%} alike:",
                *difference,
                f"Record it with the model 'recorded:{self.path}?record="
                f"{request.content['model']}', or ask what was recorded.",
            ]
        )


def read_tape(path: Path, model: str | None = None) -> Tape:
    """Read a file of recorded calls.

    Args:
        path: the file.
        model: whose calls to take; all if None.

    Raises:
        ConfigurationError: there is no such file, or a line of it is broken.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        message = f"there is no {path}; record it with the model 'recorded:{path}?record=NAME'"
        raise ConfigurationError(message) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from None
    # Not splitlines, which also splits at separators that JSON leaves inside texts.
    calls = [
        _call(line, number, path)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    return Tape(path, [c for c in calls if model is None or c.request.content["model"] == model])


def _call(line: str, number: int, path: Path) -> Call:
    def broken(reason: str) -> ConfigurationError:
        message = f"{path}, line {number}: {reason}; remove the line or record the call anew"
        return ConfigurationError(message)

    try:
        entry: Any = json.loads(line)
        request = Request(dict(entry["request"]))
        pieces = messages_from_dict(
            [{**piece, "type": "AIMessageChunk"} for piece in entry["answer"]]
        )
        _ = request.content["model"], request.lines(), pieces[0]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise broken("this is no recorded call") from None
    if request.key != entry.get("key"):
        raise broken("the call was changed after it was recorded")
    return Call(number, request, tuple(cast("list[AIMessageChunk]", pieces)))


def _kept(piece: AIMessageChunk) -> dict[str, Any]:
    data: dict[str, Any] = message_to_dict(piece)["data"]
    facts: dict[str, Any] = data.get("response_metadata") or {}
    data["response_metadata"] = {k: v for k, v in facts.items() if k not in _FLEETING}
    dropped = ("id", "type", "tool_calls", "invalid_tool_calls")
    told = {name: value for name, value in data.items() if value and name not in dropped}
    return {"data": {"content": "", **told}}


def _shortened(recorded: list[str], asked: list[str]) -> Iterator[str]:
    lines = list(unified_diff(recorded, asked, "recorded", "asked", lineterm="", n=1))
    for line in lines[:MOST_DIFFERENCES]:
        yield line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"
    if len(lines) > MOST_DIFFERENCES:
        yield f"… and {len(lines) - MOST_DIFFERENCES} more lines"
