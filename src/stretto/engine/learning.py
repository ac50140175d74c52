"""What is learned from runs: how long steps take, and how agents have been doing."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from stretto.agents.health import ALPHA, AgentRow
from stretto.engine.store import Store
from stretto.engine.tables import agents, durations

_LEARNED = select(durations.c.step, durations.c.mean).where(
    durations.c.workflow_id == bindparam("workflow")
)


def _moved_durations() -> Any:
    statement = insert(durations)
    mean = durations.c.mean + ALPHA * (statement.excluded.mean - durations.c.mean)
    return statement.on_conflict_do_update(
        index_elements=["workflow_id", "step"],
        set_={"mean": mean, "count": durations.c.count + 1},
    )


def _added_agents() -> Any:
    statement = insert(agents)
    new = statement.excluded
    changes = {f.name: new[f.name] for f in fields(AgentRow) if f.name != "name"}
    added = {"calls": agents.c.calls + new.calls, "failures": agents.c.failures + new.failures}
    return statement.on_conflict_do_update(index_elements=["name"], set_=changes | added)


_DURATIONS, _AGENTS = _moved_durations(), _added_agents()


class Learning(Store):
    """What runs have taught so far."""

    async def learn(
        self, workflow_id: str, seconds: Mapping[str, float], rows: Iterable[AgentRow] = ()
    ) -> None:
        """Learn from a run.

        Args:
            workflow_id: the workflow.
            seconds: how long its steps took. The kept mean moves by ``ALPHA * (new - mean)``, an
                exponentially weighted average.
            rows: how agents are doing now; their calls and failures are added to those kept.

        """
        steps = [
            {"workflow_id": workflow_id, "step": step, "mean": value, "count": 1}
            for step, value in seconds.items()
        ]
        doing = [asdict(row) for row in rows]
        if not (steps or doing):
            return

        def work(connection: Connection) -> None:
            if steps:
                connection.execute(_DURATIONS, steps)
            if doing:
                connection.execute(_AGENTS, doing)

        await self._written(work)

    async def durations(self, workflow_id: str) -> dict[str, float]:
        """Give the learned seconds by step."""
        rows = await self._rows(_LEARNED, {"workflow": workflow_id})
        return {row["step"]: row["mean"] for row in rows}

    async def agents(self) -> list[AgentRow]:
        """Tell how agents have been doing, by name."""
        return [AgentRow(**row) for row in await self._rows(select(agents).order_by(agents.c.name))]
