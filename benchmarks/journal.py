"""What really ran: the work of every contender writes here, and each run is checked against it."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.workloads import Dag


class WrongRun(AssertionError):
    """A contender did not do what it was measured for."""


class Journal:
    """The work of a DAG's steps, and the count of what was done."""

    def __init__(self, dag: Dag) -> None:
        self.dag = dag
        self._needs = {job.id: job.needs for job in dag}
        self._started: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._early: list[str] = []

    async def work(self, step: str, seconds: float) -> dict[str, str]:
        """Do one step."""
        self._started[step] += 1
        # With several runs at once it holds too that no step starts more often than its needs end.
        if any(self._ended[need] < self._started[step] for need in self._needs[step]):
            self._early.append(step)
        if seconds:
            await asyncio.sleep(seconds)
        self._ended[step] += 1
        return {"done": step}

    def check(self, outputs: Sequence[Mapping[str, Any]]) -> None:
        """Check what was done since the last check, and start over.

        Args:
            outputs: what each run gave, by step.

        Raises:
            WrongRun: a step did not run exactly once per run, started before what it needs had
                ended, or its output is missing.

        """
        runs = len(outputs)
        wrong = [job.id for job in self.dag if self._started[job.id] != runs]
        wrong += [job.id for job in self.dag if self._ended[job.id] != runs]
        if wrong:
            raise WrongRun(f"not run exactly once: {', '.join(wrong[:5])}")
        if self._early:
            raise WrongRun(f"started before its needs had ended: {', '.join(self._early[:5])}")
        expected = {job.id: {"done": job.id} for job in self.dag}
        if any(dict(given) != expected for given in outputs):
            raise WrongRun("an output is missing or wrong")
        self._started.clear()
        self._ended.clear()
