"""Runs that are remembered by hand."""

from typing import TYPE_CHECKING

from stretto.cli.archives import find_run, with_engine, with_records
from stretto.cli.memories import with_memory
from stretto.errors import RunConflict

if TYPE_CHECKING:
    from stretto.engine.engine import Engine
    from stretto.engine.records import Records, RunRow
    from stretto.engine.result import RunResult
    from stretto.memory.recollection import Memory

ENDED = frozenset({"completed", "failed", "cancelled"})


def remember_ended_run(run_id: str, home: str | None) -> str:
    """Remember what happened in a run, and give the id of the episode.

    Args:
        run_id: the run, or the beginning of its id.
        home: the folder of all that is kept, instead of the configured one.

    Raises:
        RunNotFound: there is no such run.
        RunConflict: it has not ended.
        MemoryFault: memory cannot be used.

    """
    row = with_records(home, lambda records: _whole(records, run_id))
    if row.state not in ENDED:
        raise RunConflict(
            f"run {row.run_id} is {row.state}; it can be remembered once it has ended"
        )
    result = with_engine(home, lambda engine: _result(engine, row.run_id))

    async def keep(memory: "Memory") -> str:
        from stretto.engine.episodes import remember_run

        return (await remember_run(memory, row, result)).id

    return with_memory(home, keep)


async def _whole(records: "Records", run_id: str) -> "RunRow":
    listed = await find_run(records, run_id)  # which leaves out what may be large
    return await records.get_run(listed.run_id) or listed


async def _result(engine: "Engine", run_id: str) -> "RunResult":
    return await engine.result(run_id)
