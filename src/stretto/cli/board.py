"""What a watched run looks like now: a row per step, kept up to date by its events."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stretto.engine.steps import AFTERMATH, CHANGES, SETTLED, StepState, StepStatus, so_far
from stretto.events import ENDINGS, RunEvent

if TYPE_CHECKING:
    from stretto.engine.status import RunStatus
    from stretto.graphs.spec import Step, Workflow

_TOKENS = re.compile(r"[^/#\[\]]+")
_INNER = re.compile(r"(?P<parent>.*?)(?:#(?P<round>\d+))?/(?P<name>[^/#\[]+)")
TAIL = 200
"""Characters of streamed progress that are kept."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step as it is shown."""

    name: str
    depth: int
    status: StepStatus
    who: str
    note: str
    tail: str
    """The end of what it has streamed, while it runs."""


class Board:
    """The steps of one run, and the answer that streams out of it."""

    def __init__(self, steps: Mapping[str, str], known: Sequence[StepStatus] = ()) -> None:
        """Start with the workflow's own ``steps`` and who does each, and what is ``known``."""
        self._own = dict(steps)
        self._steps = {name: StepStatus(name) for name in steps}
        self._steps |= {step.id: step for step in known}
        self._notes = {step.id: step.error.message for step in known if step.error}
        self.degraded: dict[str, str] = {}
        """Why steps had to go on without memory, by path."""
        self._tails: dict[str, str] = {}
        self.answer = ""
        """What the step that gives the answer has streamed so far."""
        self._answering: str | None = None
        self.elapsed = 0.0
        """Seconds to show for a run that is not watched from its start."""
        self.started: float | None = None
        self.ended: float | None = None

    @classmethod
    def of_workflow(cls, workflow: "Workflow") -> "Board":
        """Start with the steps that a workflow declares."""
        return cls({step.id: who_does(step) for step in workflow.steps})

    @classmethod
    def of_status(cls, status: "RunStatus", keep: bool = False) -> "Board":
        """Start where a run stands.

        Args:
            status: the run.
            keep: show every step as it is; else what did not complete is about to run again.

        """
        steps = status.steps
        if not keep and status.state in ("completed", "failed"):  # a retry may need none of it
            steps = tuple(step for step in steps if step.id not in AFTERMATH)
        known = steps if keep else [step for step in steps if step.state == "completed"]
        board = cls({step.id: step.agent or "" for step in steps}, known)
        board.elapsed = status.total_execution_time if keep else 0.0
        return board

    def take(self, event: RunEvent) -> None:
        """Take one more event into account."""
        if event.step is None:
            self._take_whole(event)
        elif event.event == "agent_stream":
            self._take_text(event.step, event)
        elif change := CHANGES.get(event.event):
            step = self._steps.get(event.step) or StepStatus(event.step)
            agent = event.data.get("agent") or step.agent
            self._steps[event.step] = change(replace(step, agent=agent), event)
            self._notes[event.step] = _note(event)
            self._tails.pop(event.step, None)
            if event.event in ("agent_started", "agent_retry") and event.step == self._answering:
                self.answer = ""
        elif event.event == "step_compensated":
            self._notes[event.step] = "undone"
        elif event.event == "memory_degraded":
            self.degraded[event.step] = str(event.data.get("reason") or "")

    def _take_whole(self, event: RunEvent) -> None:
        if event.event in ("workflow_started", "workflow_resumed"):
            self.started, self.ended = event.at, None
            self._reset("pending", ("running", "waiting", "not_run"))
            return
        if event.event not in ENDINGS:
            return
        self.ended = event.at
        if event.event == "workflow_waiting":
            for question in event.data.get("interrupts") or ():
                if (path := question.get("step")) in self._steps:
                    self._steps[path] = replace(self._steps[path], state="waiting")
        else:
            self._reset("not_run", ("pending", "running", "waiting"))

    def _take_text(self, path: str, event: RunEvent) -> None:
        text = str(event.data.get("content") or "")
        if event.data.get("kind") == "reset":
            self._tails.pop(path, None)
            if path == self._answering:
                self.answer = ""
            return
        if event.data.get("stream") != "answer":
            self._tails[path] = (self._tails.get(path, "") + text)[-TAIL:]
            return
        if path != self._answering:
            self._answering, self.answer = path, ""
        self.answer += text

    def _reset(self, state: StepState, states: Iterable[StepState]) -> None:
        for path, step in self._steps.items():
            if step.state in tuple(states):
                self._steps[path] = replace(step, state=state)

    @property
    def settled(self) -> int:
        """How many of the workflow's own steps have ended."""
        return sum(self._steps[name].state in SETTLED for name in self._own)

    @property
    def total(self) -> int:
        """How many steps the workflow has itself."""
        return len(self._own)

    def seconds(self) -> float:
        """Give the seconds since the run was entered."""
        if self.started is None:
            return self.elapsed
        return max((self.ended or time.time()) - self.started, 0.0)

    def rows(self) -> list[Row]:
        """Give a row per step: the workflow's own in order, those inside below their container."""
        seen = {path: index for index, path in enumerate(self._steps)}
        now = self.ended or time.time()
        return [self._row(path, now) for path in sorted(seen, key=lambda path: _place(path, seen))]

    def _row(self, path: str, now: float) -> Row:
        status = so_far(self._steps[path], now)
        name, depth = _shown(path)
        who = status.agent or self._own.get(path, "")
        note = self._notes.get(path) or ("without memory" if path in self.degraded else "")
        return Row(name, depth, status, who, note, self._tails.get(path, ""))


def who_does(step: "Step") -> str:
    """Name who carries a step out, as far as that is declared."""
    if step.agent or step.capability:
        return step.agent or f"any with {step.capability}"
    return step.workflow or step.kind


def _note(event: RunEvent) -> str:
    data = event.data
    if event.event == "agent_retry":
        return f"{data.get('error_message')}; again in {data.get('delay')} s"
    if event.event == "agent_error":
        return str(data.get("error_message") or "")
    if event.event == "agent_skipped":
        return str(data.get("reason") or "")
    return "from the cache" if data.get("cached") else ""


def _shown(path: str) -> tuple[str, int]:
    """Give what a step is called on its row, and how deep it is."""
    depth = path.count("/") + path.count("[")
    if path.endswith("]"):
        return path[path.rindex("[") :], depth
    if not (inner := _INNER.fullmatch(path)):
        return path, depth
    return inner["name"] + (f" (round {inner['round']})" if inner["round"] else ""), depth


def _place(path: str, seen: Mapping[str, int]) -> list[tuple[int, int]]:
    """Sort steps below their container: rounds and items by number, others as they came."""
    place: list[tuple[int, int]] = []
    for token in _TOKENS.finditer(path):
        upto = path[: token.end()] + ("]" if path[token.end() : token.end() + 1] == "]" else "")
        numbered = token.start() and path[token.start() - 1] in "#["
        place.append((0, int(token[0])) if numbered else (1, seen.get(upto, seen[path])))
    return place
