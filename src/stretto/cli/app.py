"""The commands of `stretto` by name; each loads what it needs when it is called."""

from typing import Annotated

import typer

from stretto.cli import (
    authoring,
    catalogue,
    doctor,
    memory,
    project_files,
    resuming,
    running,
    runs,
    upkeep,
)
from stretto.cli.options import Debug

HELP = "Workflows of LLM agents, where every step starts the moment its inputs exist."
app = typer.Typer(
    name="stretto",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
runs_app = typer.Typer(help="Look after runs: list when no command is given.")
memory_app = typer.Typer(help="What is known from earlier runs and conversations.")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"stretto {version('stretto')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Take the options that stand before a command."""


app.command("run")(running.run)
app.command("validate")(authoring.validate)
app.command("graph")(authoring.graph)
app.command("list")(catalogue.list_known)
app.command("show")(catalogue.show)
app.command("schema")(authoring.schema)
app.command("init")(project_files.init)
app.command("doctor")(doctor.doctor)
app.add_typer(runs_app, name="runs")
runs_app.callback(invoke_without_command=True)(runs.default)
runs_app.command("list")(runs.list_runs)
runs_app.command("show")(runs.show)
runs_app.command("events")(runs.events)
runs_app.command("logs")(runs.logs)
runs_app.command("cancel")(runs.cancel)
runs_app.command("resume")(resuming.resume)
runs_app.command("retry")(resuming.retry)
app.add_typer(memory_app, name="memory", no_args_is_help=True)
memory_app.command("remember")(memory.remember)
memory_app.command("recall")(memory.recall)
memory_app.command("forget")(memory.forget)
memory_app.command("pin")(memory.pin)
memory_app.command("supersede")(memory.supersede)
memory_app.command("stats")(upkeep.stats)
memory_app.command("export")(upkeep.export)
memory_app.command("import")(upkeep.import_)
memory_app.command("compact")(upkeep.compact)
memory_app.command("reindex")(upkeep.reindex)
memory_app.command("consolidate")(upkeep.consolidate)
