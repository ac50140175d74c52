"""The events of runs as they are stored: in segments, those of several runs together."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Engine, bindparam, func, select
from sqlalchemy.dialects.sqlite import insert

from stretto.engine.database import to_json
from stretto.engine.store import Store, Threads
from stretto.engine.tables import events
from stretto.events import RunEvent
from stretto.memory.calls import finished

LAST_POSSIBLE = 2**63 - 1
"""The highest number that a database keeps."""
_SEGMENTS_AT_ONCE = 8
_STORED = ("seq", "event", "at", "step", "data")
_AFTER = (
    select(events.c.payload)
    .where(events.c.run_id == bindparam("run"), events.c.last_seq > bindparam("after"))
    .order_by(events.c.first_seq)
    .limit(_SEGMENTS_AT_ONCE)
)
_LAST = select(func.max(events.c.last_seq).label("last")).where(events.c.run_id == bindparam("run"))
Segment: TypeAlias = dict[str, Any]


def _segment() -> Any:
    statement = insert(events)
    again = {name: statement.excluded[name] for name in ("last_seq", "payload")}
    return statement.on_conflict_do_update(index_elements=["run_id", "first_seq"], set_=again)


_SEGMENT = _segment()


class EventRecords(Store):
    """What has happened in runs."""

    def __init__(self, engine: Engine, threads: Threads) -> None:
        """Work on an opened database; see ``Store``."""
        super().__init__(engine, threads)
        self._saving = asyncio.Lock()
        self._waiting: list[tuple[Segment, asyncio.Future[None]]] = []
        """Segments to be saved by whoever gets the lock next."""

    @finished
    async def append_events(self, run_id: str, batch: Sequence[RunEvent]) -> None:
        """Store consecutive events as one segment; calls that wait are stored together.

        A segment with the same first event replaces the older one, so a batch whose outcome was
        unknown can be sent again together with what came after it.
        """
        if not batch:
            return
        segment: Segment = {
            "run_id": run_id,
            "first_seq": batch[0].seq,
            "last_seq": batch[-1].seq,
            "payload": to_json([{key: getattr(e, key) for key in _STORED} for e in batch]),
        }
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((segment, saved))
        async with self._saving:
            if not saved.done():
                await self._save_waiting()
        saved.result()

    async def _save_waiting(self) -> None:
        taken, self._waiting = self._waiting, []
        try:
            await self._save([segment for segment, _ in taken])
        except Exception as error:
            for segment, saved in taken:
                failure = error if len(taken) == 1 else await self._failure_of(segment)
                _settle(saved, failure)
        except BaseException:  # the event loop is being closed
            for _, saved in taken:
                saved.cancel()
            raise
        else:
            for _, saved in taken:
                _settle(saved, None)

    async def _failure_of(self, segment: Segment) -> Exception | None:
        """Save one alone, which another that cannot be saved must not keep from it."""
        try:
            await self._save([segment])
        except Exception as error:
            return error
        return None

    async def _save(self, segments: list[Segment]) -> None:
        await self._written(lambda connection: connection.execute(_SEGMENT, segments))

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
            rows = await self._rows(_AFTER, {"run": run_id, "after": last})
            for row in rows:
                items = json.loads(row["payload"])
                found += [RunEvent(run_id=run_id, **item) for item in items if item["seq"] > last]
            if len(rows) < _SEGMENTS_AT_ONCE:
                break
        return found[:limit]

    async def last_seq(self, run_id: str) -> int:
        """Give the number of the last stored event, 0 when there is none."""
        return (await self._rows(_LAST, {"run": run_id}))[0]["last"] or 0


def _settle(saved: asyncio.Future[None], failure: Exception | None) -> None:
    if saved.done():  # whoever waited was cancelled
        return
    if failure is None:
        saved.set_result(None)
    else:
        saved.set_exception(failure)
        saved.exception()  # looked at, or asyncio warns that nobody did
