"""``stretto runs``: what ran, what it did, and how it goes on."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from stretto.cli.archives import find_run, has_runs, run_record, when, with_engine, with_records
from stretto.cli.board import Board
from stretto.cli.deployment import read_settings
from stretto.cli.guard import guarded, say
from stretto.cli.live import STYLES, Canvas
from stretto.cli.options import AsJson, Home, RunId
from stretto.cli.report import Commands, failure, question, show_output, warn
from stretto.cli.terminal import (
    as_json,
    clean,
    console_on,
    is_terminal,
    write,
)

if TYPE_CHECKING:
    from stretto.engine.engine import Engine
    from stretto.engine.records import Records, RunRow
    from stretto.engine.result import RunResult
    from stretto.engine.status import RunStatus

State = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
OfWorkflow = Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this one.")]
InState = Annotated[State | None, typer.Option(help="Only runs in this state.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, newest first.")]
After = Annotated[int, typer.Option(min=0, help="Only events after this number.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")]
UNFINISHED = ("queued", "running")
FOLLOW_SECONDS = 0.3
CANCEL_SECONDS = 10.0


def default(ctx: typer.Context) -> None:
    """Look after runs: list when no command is given."""
    if ctx.invoked_subcommand is None:
        list_runs()


@guarded
def list_runs(
    workflow: OfWorkflow = None,
    state: InState = None,
    limit: Limit = 20,
    json_form: AsJson = False,
    home: Home = None,
) -> None:
    """List runs, newest first."""
    rows: list[RunRow] = []
    if has_runs(read_settings(home)):
        states = None if state is None else (state,)
        rows = with_records(home, lambda records: records.list_runs(workflow, states, limit))
    if json_form:
        write(sys.stdout, as_json([run_record(row) for row in rows], sys.stdout, indent=2))
    elif not is_terminal(sys.stdout):
        for row in rows:
            cells = (row.run_id, row.workflow_id, row.version, row.state, when(row.created_at))
            write(sys.stdout, clean("\t".join(cells)))
    elif rows:
        _print_runs(rows)
    if not rows and not json_form:
        say("no runs")


def _print_runs(rows: "list[RunRow]") -> None:
    table = Table("run", "workflow", "version", "state", "started", box=None, pad_edge=False)
    for row in rows:
        cells = (row.run_id, row.workflow_id, row.version, row.state, when(row.created_at))
        styles = ("", "", "dim", STYLES.get(row.state, ""), "dim")
        pairs = zip(cells, styles, strict=True)
        table.add_row(*(Text(clean(cell), style) for cell, style in pairs))
    console_on(sys.stdout).print(table)


@guarded
def show(run_id: RunId, json_form: AsJson = False, home: Home = None) -> None:
    """Show where a run stands, its steps and its result."""
    row = with_records(home, lambda records: _whole_row(records, run_id))
    status, result = with_engine(home, lambda engine: _look(engine, row.run_id))
    if json_form:
        ended = None if result is None else result.to_dict()
        run = {**run_record(row), "input": row.input, "context": row.context}
        whole = {"run": run, "status": status.to_dict(), "result": ended}
        write(sys.stdout, as_json(whole, sys.stdout, indent=2))
        return
    console = console_on(sys.stdout)
    console.print(Text(f"run {row.run_id}  {row.state}", STYLES.get(row.state, "")), soft_wrap=True)
    console.print(f"started {when(row.started_at)}  ended {when(row.ended_at)}", soft_wrap=True)
    title = clean(f"{row.workflow_name} {row.version}")
    canvas = Canvas(console.width, 10**6, console.encoding.startswith("utf"))
    console.print(canvas.draw(title, Board.of_status(status, keep=True), final=True))
    if result is None:
        return
    show_output(result.output, sys.stdout)
    if result.status == "failed":
        say(failure(result, Commands(home)))
    elif result.status == "waiting":
        say(question(result, Commands(home)))
    elif result.status == "completed":
        warn(result)


async def _whole_row(records: "Records", run_id: str) -> "RunRow":
    listed = await find_run(records, run_id)  # which leaves out what may be large
    return await records.get_run(listed.run_id) or listed


async def _look(engine: "Engine", run_id: str) -> "tuple[RunStatus, RunResult | None]":
    """Read a run; one that has not ended has no result, and nobody waits for it here."""
    status = await engine.status(run_id)
    ended = status.state not in UNFINISHED
    return status, await engine.result(run_id) if ended else None


@guarded
def events(run_id: RunId, after: After = 0, follow: Follow = False, home: Home = None) -> None:
    """Write the events of a run, one JSON line each."""

    async def read(records: "Records") -> None:
        row, seen = await find_run(records, run_id), after
        while True:
            # The state is read first: what happens after it was read is seen in the next round.
            ended = await _state(records, row.run_id) not in UNFINISHED
            for event in await records.read_events(row.run_id, seen):
                seen = event.seq
                write(sys.stdout, as_json(event.to_dict(), sys.stdout))
            if ended or not follow:
                return
            await asyncio.sleep(FOLLOW_SECONDS)

    with_records(home, read)


async def _state(records: "Records", run_id: str) -> str | None:
    row = await records.get_run(run_id)
    return None if row is None else row.state


@guarded
def logs(run_id: RunId, home: Home = None) -> None:
    """Write the log of a run: time, level, step, message."""

    async def read(records: "Records") -> None:
        from stretto.engine.logs import log_lines

        row = await find_run(records, run_id)
        for line in log_lines(await records.read_events(row.run_id)):
            text = f"{when(line.at)} {line.level:<7} {line.step or '-'} {line.message}"
            write(sys.stdout, clean(text))

    with_records(home, read)


@guarded
def cancel(run_id: RunId, home: Home = None) -> None:
    """Stop a run, also one of another process; it can be resumed."""

    async def stop(engine: "Engine") -> str:
        row = await find_run(engine, run_id)
        await engine.cancel(row.run_id)
        for _ in range(round(CANCEL_SECONDS / FOLLOW_SECONDS)):
            if (await find_run(engine, row.run_id)).state not in UNFINISHED:
                return f"cancelled {row.run_id}"
            await asyncio.sleep(FOLLOW_SECONDS)
        return f"asked {row.run_id} to stop; it still ends what it is doing"

    say(with_engine(home, stop))
