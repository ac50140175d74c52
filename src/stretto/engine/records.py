"""What outlives a process: accepted runs, their events, pinned workflows, what was learned."""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any, Unpack

from sqlalchemy import and_, delete, func, or_, select, update

from stretto.engine.database import to_json
from stretto.engine.learning import Learning
from stretto.engine.status import State
from stretto.engine.tables import RunChanges, RunRow, events, given, runs, workflows
from stretto.errors import RunNotFound
from stretto.events import RunEvent
from stretto.memory.calls import finished

__all__ = ["Records", "RunChanges", "RunRow", "State"]

LAST_POSSIBLE = 2**63 - 1
"""The highest number that a database keeps."""
_SEGMENTS_AT_ONCE = 8
_STORED = ("seq", "event", "at", "step", "data")


class Records(Learning):
    """Everything that is recorded."""

    @finished
    async def create_run(self, row: RunRow) -> bool:
        """Store an accepted run durably.

        Returns:
            False when a run of this id exists already; it is left as it is.

        """
        values = {f.name: getattr(row, f.name) for f in fields(row)}
        kept = {name: values.pop(name) for name in ("input", "context")}
        accept = self._insert(runs).values(values).on_conflict_do_nothing(index_elements=["run_id"])
        async with self._writing() as connection:
            accepted = (await connection.execute(accept)).rowcount == 1
            if accepted:
                await connection.execute(given.insert().values(run_id=row.run_id, **kept))
            return accepted

    async def get_run(self, run_id: str) -> RunRow | None:
        """Get one run with what it was given, or None."""
        whole = select(runs, given.c.input, given.c.context).join(given)
        rows = await self._rows(whole.where(runs.c.run_id == run_id))
        return RunRow(**rows[0]) if rows else None

    @finished
    async def update_run(self, run_id: str, **changes: Unpack[RunChanges]) -> None:
        """Change what is given of a run.

        Raises:
            RunNotFound: no run has this id.

        """
        statement = update(runs).where(runs.c.run_id == run_id).values(dict(changes))
        async with self._writing() as connection:
            if (await connection.execute(statement)).rowcount == 0:
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

    @finished
    async def delete_run(self, run_id: str) -> None:
        """Delete a run and its events; nothing happens when there is none."""
        async with self._writing() as connection:
            await connection.execute(delete(runs).where(runs.c.run_id == run_id))

    @finished
    async def save_workflow(
        self, workflow_id: str, name: str, version: str, digest: str, document: dict[str, Any]
    ) -> None:
        """Keep a definition under its digest; the same digest again changes nothing."""
        statement = self._insert(workflows).values(
            digest=digest,
            workflow_id=workflow_id,
            name=name,
            version=version,
            document=document,
            created_at=time.time(),
        )
        async with self._writing() as connection:
            await connection.execute(statement.on_conflict_do_nothing(index_elements=["digest"]))

    async def get_workflow(self, digest: str) -> dict[str, Any] | None:
        """Get the document of a pinned definition, or None."""
        rows = await self._rows(select(workflows.c.document).where(workflows.c.digest == digest))
        return rows[0]["document"] if rows else None

    @finished
    async def append_events(self, run_id: str, batch: Sequence[RunEvent]) -> None:
        """Store consecutive events as one segment.

        A segment with the same first event replaces the older one, so a batch whose outcome was
        unknown can be sent again together with what came after it.
        """
        if not batch:
            return
        statement = self._insert(events).values(
            run_id=run_id,
            first_seq=batch[0].seq,
            last_seq=batch[-1].seq,
            payload=to_json([{key: getattr(e, key) for key in _STORED} for e in batch]),
        )
        again = {name: statement.excluded[name] for name in ("last_seq", "payload")}
        async with self._writing() as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["run_id", "first_seq"], set_=again)
            )

    async def read_events(
        self, run_id: str, after: int = 0, limit: int | None = None
    ) -> list[RunEvent]:
        """Read the stored events of a run in order.

        Args:
            run_id: the run.
            after: only events with a higher ``seq``.
            limit: at most so many; all if None.

        """
        found: list[RunEvent] = []
        after = min(after, LAST_POSSIBLE)
        while limit is None or len(found) < limit:
            last = found[-1].seq if found else after
            query = select(events.c.payload).where(
                events.c.run_id == run_id, events.c.last_seq > last
            )
            rows = await self._rows(query.order_by(events.c.first_seq).limit(_SEGMENTS_AT_ONCE))
            for row in rows:
                items = json.loads(row["payload"])
                found += [RunEvent(run_id=run_id, **item) for item in items if item["seq"] > last]
            if len(rows) < _SEGMENTS_AT_ONCE:
                break
        return found[:limit]

    async def last_seq(self, run_id: str) -> int:
        """Give the number of the last stored event, 0 when there is none."""
        query = select(func.max(events.c.last_seq).label("last")).where(events.c.run_id == run_id)
        return (await self._rows(query))[0]["last"] or 0
