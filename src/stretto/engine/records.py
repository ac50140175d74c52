"""What outlives a process: accepted runs, their events, pinned workflows, what was learned."""

import time
from collections.abc import Collection
from dataclasses import fields
from typing import Any, Unpack

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from stretto.engine.event_records import EventRecords
from stretto.engine.learning import Learning
from stretto.engine.status import State
from stretto.engine.tables import RunChanges, RunRow, given, runs, workflows
from stretto.errors import RunNotFound

__all__ = ["Records", "RunChanges", "RunRow", "State"]

_ACCEPTED = insert(runs).on_conflict_do_nothing(index_elements=["run_id"])
_GIVEN = given.insert()
_CHANGED = update(runs).where(runs.c.run_id == bindparam("changed"))


class Records(Learning, EventRecords):
    """Everything that is recorded."""

    async def create_run(self, row: RunRow) -> bool:
        """Store an accepted run durably.

        Returns:
            False when a run of this id exists already; it is left as it is.

        """
        values = {f.name: getattr(row, f.name) for f in fields(row)}
        kept = {name: values.pop(name) for name in ("input", "context")}

        def work(connection: Connection) -> bool:
            # Of an insertion the count is not kept unless asked for, except by some drivers.
            counted = connection.execution_options(preserve_rowcount=True)
            accepted = counted.execute(_ACCEPTED, values).rowcount == 1
            if accepted:
                connection.execute(_GIVEN, {"run_id": row.run_id, **kept})
            return accepted

        return await self._written(work)

    async def get_run(self, run_id: str) -> RunRow | None:
        """Get one run with what it was given, or None."""
        whole = select(runs, given.c.input, given.c.context).join(given)
        rows = await self._rows(whole.where(runs.c.run_id == run_id))
        return RunRow(**rows[0]) if rows else None

    async def update_run(self, run_id: str, **changes: Unpack[RunChanges]) -> None:
        """Change what is given of a run.

        Raises:
            RunNotFound: no run has this id.

        """
        values = {"changed": run_id, **changes}
        if await self._written(lambda c: c.execute(_CHANGED, values).rowcount) == 0:
            raise RunNotFound(f"no run has the id '{run_id}'")

    async def list_runs(
        self,
        workflow: str | None = None,
        states: Collection[State] | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[RunRow]:
        """List runs, newest first.

        Args:
            workflow: only runs of the workflow with this slug.
            states: only runs in one of these states.
            limit: at most so many.
            before: the id of a run; only those that come after it in the listing.

        """
        query = select(runs).order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(limit)
        if workflow is not None:
            query = query.where(runs.c.workflow_id == workflow)
        if states is not None:
            query = query.where(runs.c.state.in_(states))
        if before is not None:
            mark = select(runs.c.created_at).where(runs.c.run_id == before).scalar_subquery()
            tie = and_(runs.c.created_at == mark, runs.c.run_id < before)
            query = query.where(or_(runs.c.created_at < mark, tie))
        return [RunRow(**row) for row in await self._rows(query)]

    async def unfinished_runs(self) -> list[RunRow]:
        """List the runs that are queued or running, oldest first."""
        query = select(runs).where(runs.c.state.in_(("queued", "running")))
        rows = await self._rows(query.order_by(runs.c.created_at, runs.c.run_id))
        return [RunRow(**row) for row in rows]

    async def delete_run(self, run_id: str) -> None:
        """Delete a run and its events; nothing happens when there is none."""
        statement = delete(runs).where(runs.c.run_id == run_id)
        await self._written(lambda connection: connection.execute(statement))

    async def save_workflow(
        self, workflow_id: str, name: str, version: str, digest: str, document: dict[str, Any]
    ) -> None:
        """Keep a definition under its digest; the same digest again changes nothing."""
        statement = insert(workflows).values(
            digest=digest,
            workflow_id=workflow_id,
            name=name,
            version=version,
            document=document,
            created_at=time.time(),
        )
        kept = statement.on_conflict_do_nothing(index_elements=["digest"])
        await self._written(lambda connection: connection.execute(kept))

    async def get_workflow(self, digest: str) -> dict[str, Any] | None:
        """Get the document of a pinned definition, or None."""
        rows = await self._rows(select(workflows.c.document).where(workflows.c.digest == digest))
        return rows[0]["document"] if rows else None
