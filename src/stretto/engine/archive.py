"""What can be told of a run from what is saved of it, by any process."""

from dataclasses import replace
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from stretto.engine.ending import in_order, with_row_error
from stretto.engine.pins import Pin
from stretto.engine.records import Records, RunRow
from stretto.engine.result import ResultStatus, RunResult
from stretto.engine.snapshot import Snapshot, read_snapshot
from stretto.engine.status import RunStatus, fold
from stretto.errors import ConfigurationError, RunNotFound
from stretto.events import RunEvent
from stretto.graphs.given import Given, roots_of
from stretto.graphs.outcome import Summary, summarize
from stretto.graphs.spec import Workflow


class Archive:
    """Reads runs back: rows, events, pinned workflows, saved states."""

    def __init__(self, records: Records, saver: "BaseCheckpointSaver[Any]") -> None:
        """Read from ``records`` and from the checkpoints of ``saver``."""
        self._records = records
        self._saver = saver
        self._kept = set[str]()
        """Digests of the definitions that are in the records."""

    async def row(self, run_id: str) -> RunRow:
        """Give a run as it is recorded.

        Raises:
            RunNotFound: no run has this id.

        """
        row = await self._records.get_run(run_id)
        if row is None:
            raise RunNotFound(f"no run has the id '{run_id}'")
        return row

    async def keep(self, pin: Pin) -> None:
        """Keep a definition and those it uses, so that the runs pinned to them can always go on."""
        if pin.digest in self._kept:
            return
        for workflow in (*pin.uses.values(), pin.workflow):
            document = workflow.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            await self._save(workflow, workflow.digest, document)
        if pin.uses:
            named = {"workflow": pin.workflow.digest, "uses": pin.references}
            await self._save(pin.workflow, pin.digest, named)
        self._kept.add(pin.digest)

    async def _save(self, workflow: Workflow, digest: str, document: dict[str, Any]) -> None:
        name, version = workflow.name, workflow.version
        await self._records.save_workflow(workflow.id, name, version, digest, document)

    async def pinned(self, row: RunRow) -> Workflow:
        """Give the definition that a run is pinned to.

        Raises:
            ConfigurationError: it is not there, or not what the run began with.

        """
        document = await self._records.get_workflow(row.digest)
        if document and "uses" in document:  # it names the definitions, which are kept apart
            return await self._definition(row, document["workflow"])
        return _checked(row, row.digest, document)

    async def used(self, row: RunRow) -> dict[str, Workflow]:
        """Give the other workflows that a run is pinned to, by reference.

        A run that was recorded before these were kept has none.

        Raises:
            ConfigurationError: one is not there, or not what the run began with.

        """
        document = await self._records.get_workflow(row.digest) or {}
        references: dict[str, str] = document.get("uses", {})
        return {name: await self._definition(row, kept) for name, kept in references.items()}

    async def _definition(self, row: RunRow, digest: str) -> Workflow:
        return _checked(row, digest, await self._records.get_workflow(digest))

    async def snapshot(self, run_id: str) -> Snapshot | None:
        """Give the saved state of a run, or None when nothing is saved yet."""
        return await read_snapshot(self._saver, run_id)

    async def events(self, run_id: str, after: int = 0) -> list[RunEvent]:
        """Give the saved events of a run after a point.

        Raises:
            RunNotFound: no run has this id.

        """
        await self.row(run_id)
        return await self._records.read_events(run_id, after)

    async def status(self, run_id: str, now: float | None = None) -> RunStatus:
        """Tell where a run stands.

        Args:
            run_id: the run.
            now: seconds since the epoch, to count what still runs up to now.

        Raises:
            RunNotFound: no run has this id.

        """
        row = await self.row(run_id)
        status = fold(await self.events(run_id), await self.pinned(row), now)
        # Events are saved a moment later than the row by the process that works on the run.
        begun = status.state == "queued" and row.state == "running"
        return replace(status, run_id=run_id, state="running" if begun else status.state)

    async def result(self, row: RunRow) -> RunResult:
        """Put the result of a run together again, from its row and what is saved beside it."""
        run_id = row.run_id
        workflow = await self.pinned(row)
        snapshot = await self.snapshot(run_id)
        run: dict[str, Any] = {
            "id": run_id,
            "started_at": row.started_at,
            "attempt": row.attempt,
            "errors": 0,
        }
        roots = roots_of(workflow, Given(row.input or {}, row.context), run)
        summary = summarize(workflow, snapshot.state, roots) if snapshot else Summary(False, None)
        status: ResultStatus = "cancelled"
        if row.state in ("completed", "failed", "waiting"):
            status = row.state
        return RunResult(
            run_id=run_id,
            workflow=row.workflow_name,
            version=row.version,
            status=status,
            output=summary.output if status == "completed" else None,
            outputs=summary.outputs,
            errors=with_row_error(summary.errors, row.error),
            interrupts=in_order(snapshot.interrupts, workflow)
            if snapshot and status == "waiting"
            else (),
            duration_seconds=(await self.status(run_id)).total_execution_time,
            usage=row.usage or {},
        )


def _checked(row: RunRow, digest: str, document: dict[str, Any] | None) -> Workflow:
    workflow = Workflow.model_validate(document) if document else None
    if workflow is None or workflow.digest != digest:
        raise ConfigurationError(
            f"the definition of run {row.run_id} is not in the database any more; start it anew"
        )
    return workflow
