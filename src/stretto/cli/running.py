"""``stretto run``: a workflow from its input to its output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stretto.cli.board import Board
from stretto.cli.conduct import Begun, conduct
from stretto.cli.crew import Crew, load_crew, make_registry
from stretto.cli.deployment import make_engine, read_settings, shape_of
from stretto.cli.guard import guarded
from stretto.cli.options import (
    Agents,
    AsEvents,
    AsJson,
    Debug,
    Home,
    Model,
    Priority,
    Source,
)
from stretto.cli.report import Commands
from stretto.cli.sources import check_agents, find_workflow
from stretto.cli.terminal import data_stream
from stretto.cli.values import read_input, read_pairs

if TYPE_CHECKING:
    from stretto.config import Settings
    from stretto.engine.engine import Engine
    from stretto.graphs.spec import Workflow

Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "-i",
        metavar="KEY=VALUE",
        help="One input; JSON unless it is declared as text; key=@file reads a file.",
    ),
]
InputFile = Annotated[
    str | None,
    typer.Option("--input", metavar="FILE|-", help="All inputs as a JSON object; - is stdin."),
]
Context = Annotated[
    list[str] | None,
    typer.Option("-c", metavar="KEY=VALUE", help="One value of the context."),
]
Session = Annotated[str | None, typer.Option(metavar="ID", help="Conversation it belongs to.")]
OwnId = Annotated[
    str | None,
    typer.Option("--run-id", metavar="ID", help="An id of your own; giving it again starts once."),
]
Urgency = Annotated[Priority | None, typer.Option(help="Instead of the workflow's own priority.")]


@dataclass(frozen=True, slots=True)
class Order:
    """A run that is asked for, checked before anything heavy is loaded."""

    workflow: "Workflow"
    input: Mapping[str, Any]
    crew: Crew
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    home: str | None = None

    async def begin(self, engine: "Engine") -> Begun:
        """Start the run."""
        handle = await engine.start(self.workflow, self.input, **self.options)
        title = f"{self.workflow.name} {self.workflow.version}"
        commands = Commands(self.home, self.crew.named)
        return Begun(handle, title, Board.of_workflow(self.workflow), commands=commands)


def _checked_input(
    workflow: "Workflow", pairs: Sequence[str], input_file: str | None
) -> dict[str, Any]:
    """Put the input together and check it, single values over a whole one."""
    from stretto.graphs.inputs import check_input, input_schema

    given = read_input(input_file) if input_file is not None else {}
    return check_input(workflow, {**given, **read_pairs(pairs, input_schema(workflow.inputs))})


@guarded
def run(
    source: Source,
    pairs: Pairs = None,
    input_file: InputFile = None,
    context: Context = None,
    model: Model = None,
    session: Session = None,
    run_id: OwnId = None,
    priority: Urgency = None,
    agents: Agents = None,
    home: Home = None,
    as_json: AsJson = False,
    as_events: AsEvents = False,
    debug: Debug = False,
) -> None:
    """Run a workflow: live on a terminal, plain lines in a pipe.

    Exit codes: 0 done, 1 the run failed, 2 bad usage or invalid workflow or input, 3 it waits for
    a person, 130 interrupted.
    """
    with data_stream() as stream:
        shape = shape_of(as_json, as_events)
        settings = read_settings(home)
        workflow, path = find_workflow(source)
        checked = _checked_input(workflow, pairs or [], input_file)
        crew = load_crew(agents or [], path.parent if path else None)
        registry = make_registry(crew, settings, model or settings.model)
        check_agents(workflow, registry, path)
        if model is not None:
            check_model(model, settings)
        options = {
            "context": read_pairs(context or []),
            "session_id": session,
            "run_id": run_id,
            "priority": priority,
        }
        order = Order(workflow, checked, crew, options, home)
        code = conduct(make_engine(settings, registry), order.begin, stream, shape)
    raise typer.Exit(code)


def check_model(name: str, settings: "Settings") -> None:
    """Refuse a model that cannot be opened before anything is started.

    Args:
        name: the model's name.
        settings: where its key and address may stand.

    Raises:
        ConfigurationError: no model has this name, or its key is missing.

    """
    from stretto.agents.models.opening import open_configured

    open_configured(name, settings)
