"""What a workflow's steps come to, worked out one after the other: the oracle for the real thing.

Only what does not depend on timing is decided here: a step beside a failure that ends the run may
have started or not, so both are allowed for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["completed", "failed", "skipped", "not_run"]
COMPLETED, FAILED, SKIPPED, NOT_RUN = "completed", "failed", "skipped", "not_run"


@dataclass(frozen=True)
class Play:
    """One step of a random workflow."""

    id: str
    needs: tuple[str, ...] = ()
    join: Literal["all", "any", "done"] = "all"
    fails: bool = False
    on_error: Literal["fail", "continue", "fallback"] = "fail"
    guard: bool | None = None
    """What the step's condition gives; None without one."""

    def declare(self, agent: str) -> dict[str, Any]:
        """Write the step as a document has it."""
        step: dict[str, Any] = {
            "id": self.id,
            "agent": agent,
            "depends_on": list(self.needs),
            "join": self.join,
            "params": {"fails": self.fails, "value": f"of {self.id}"},
        }
        if self.on_error != "fail":
            step["on_error"] = "continue" if self.on_error == "continue" else {"fallback": "spare"}
        if self.guard is not None:
            step["when"] = "input.yes" if self.guard else "!input.yes"
        return step


@dataclass
class Expected:
    """What has to come out."""

    statuses: dict[str, str] = field(default_factory=dict[str, str])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    after_failure: set[str] = field(default_factory=set[str])
    """Steps that may as well not have been run, because of a failure that ends the run."""

    @property
    def success(self) -> bool:
        return not self.after_failure


def interpret(plays: Mapping[str, Play]) -> Expected:
    """Work every step out, in the order given, which is a topological one.

    With join ``any`` the first need to complete counts, so a step with it is skipped only if no
    need completes at all.
    """
    expected = Expected()
    fatal = False
    for step, play in plays.items():
        status = _status(play, expected)
        expected.statuses[step] = status
        if status == COMPLETED:
            expected.outputs[step] = "spare" if play.fails else f"of {step}"
        fatal = fatal or (status == FAILED and play.on_error == "fail")
    if fatal:
        expected.after_failure = set(plays)
    return expected


def _status(play: Play, so_far: Expected) -> str:
    if not _needs_met(play, so_far) or play.guard is False:
        return SKIPPED
    if not play.fails:
        return COMPLETED
    return COMPLETED if play.on_error == "fallback" else FAILED


def _needs_met(play: Play, so_far: Expected) -> bool:
    done = [so_far.statuses[need] == COMPLETED for need in play.needs]
    if play.join == "done" or not done:
        return True
    return any(done) if play.join == "any" else all(done)


def check(plays: Mapping[str, Play], statuses: Mapping[str, str]) -> list[str]:
    """List how real statuses differ from what must or may come out."""
    expected = interpret(plays)
    if expected.success:
        return [
            f"{step}: {statuses.get(step)}, not {status}"
            for step, status in expected.statuses.items()
            if statuses.get(step) != status
        ]
    wrong = [
        f"{step}: {statuses.get(step)}, not {status} or not_run"
        for step, status in expected.statuses.items()
        if statuses.get(step) not in (status, NOT_RUN)
    ]
    if not any(_ended_it(play, statuses) for play in plays.values()):
        wrong.append("no failure ended the run")
    return wrong + _started_after_not_run(plays, statuses)


def _ended_it(play: Play, statuses: Mapping[str, str]) -> bool:
    return play.on_error == "fail" and statuses.get(play.id) == FAILED


def _started_after_not_run(plays: Mapping[str, Play], statuses: Mapping[str, str]) -> list[str]:
    """Find steps that went on although something they wait for was not run.

    With join ``any`` a step may have gone on before.
    """
    return [
        f"{step}: {statuses[step]} although a need was not run"
        for step, play in plays.items()
        if play.join != "any" and statuses[step] != NOT_RUN
        if any(statuses[need] == NOT_RUN for need in play.needs)
    ]
