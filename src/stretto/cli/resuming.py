"""``stretto runs resume`` and ``retry``: a run goes on, and is shown like a new one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stretto.cli.archives import find_run, has_runs, open_records
from stretto.cli.board import Board
from stretto.cli.conduct import Begun, conduct
from stretto.cli.crew import load_crew
from stretto.cli.deployment import make_engine, read_settings, shape_of
from stretto.cli.guard import guarded
from stretto.cli.options import Agents, AsEvents, AsJson, Debug, Home, Model, RunId
from stretto.cli.report import Commands
from stretto.cli.terminal import data_stream
from stretto.cli.values import read_answer
from stretto.errors import RunNotFound

if TYPE_CHECKING:
    from stretto.engine.engine import Engine
    from stretto.engine.handle import RunHandle
    from stretto.engine.records import RunRow

Answer = Annotated[
    str | None, typer.Option(metavar="JSON|TEXT", help="What a person answers to the question.")
]
FromStep = Annotated[
    str | None, typer.Option("--from", metavar="STEP", help="Run again from this step on.")
]


@guarded
def resume(
    run_id: RunId,
    answer: Answer = None,
    model: Model = None,
    agents: Agents = None,
    home: Home = None,
    json_form: AsJson = False,
    as_events: AsEvents = False,
    debug: Debug = False,
) -> None:
    """Go on with a run after a crash, a cancellation or a question; shown like run."""

    async def enter(engine: "Engine", run: str) -> "RunHandle":
        if answer is None:
            return await engine.resume(run)
        waits = (await engine.status(run)).state == "waiting"
        questions = (await engine.result(run)).interrupts if waits else ()
        return await engine.resume(run, read_answer(answer, questions))

    _go_on(Entry(run_id, agents or [], model, home, enter), json_form, as_events)


@guarded
def retry(
    run_id: RunId,
    from_step: FromStep = None,
    model: Model = None,
    agents: Agents = None,
    home: Home = None,
    json_form: AsJson = False,
    as_events: AsEvents = False,
    debug: Debug = False,
) -> None:
    """Run the failed steps of a run again and what depends on them; shown like run."""

    async def enter(engine: "Engine", run: str) -> "RunHandle":
        return await engine.retry(run, from_step)

    _go_on(Entry(run_id, agents or [], model, home, enter), json_form, as_events)


Enter = Callable[["Engine", str], Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that is to be taken up again."""

    run_id: str
    agents: list[str]
    model: str | None
    home: str | None
    enter: Enter

    async def begin(self, engine: "Engine") -> Begun:
        """Find the run, load its agents, and enter it."""
        async with open_records(engine.settings) as records:
            row = await find_run(records, self.run_id)
            last = await records.last_seq(row.run_id)
        folder = None if is_shipped(row) else Path()
        crew = load_crew(self.agents, folder)
        from stretto.agents.roster import fill_registry

        model = self.model or engine.settings.model
        fill_registry(engine.agents, crew.agents, engine.settings, model)
        before = await engine.status(row.run_id)
        handle = await self.enter(engine, row.run_id)
        title = f"{row.workflow_name} {row.version}"
        commands = Commands(self.home, crew.named)
        return Begun(handle, title, Board.of_status(before), last, commands)


def is_shipped(row: "RunRow") -> bool:
    """Tell whether a run is of a shipped workflow, which needs no agents of the user."""
    from stretto.graphs.library import shipped

    library, reference = shipped(), f"{row.workflow_id}@{row.version}"
    return reference in library and library.get(reference).digest == row.digest


def _go_on(entry: Entry, json_form: bool, as_events: bool) -> None:
    with data_stream() as stream:
        shape = shape_of(json_form, as_events)
        settings = read_settings(entry.home)
        if not has_runs(settings):
            raise RunNotFound(f"no run has the id '{entry.run_id}'")
        code = conduct(make_engine(settings), entry.begin, stream, shape)
    raise typer.Exit(code)
