"""Commands for those who write workflows: validate, graph, schema."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stretto.cli.crew import load_crew, make_registry
from stretto.cli.deployment import read_settings
from stretto.cli.guard import INVALID, explain, fault_line, guarded, say
from stretto.cli.options import Agents, AsJson, Source
from stretto.cli.sources import check_agents, find_workflow
from stretto.cli.terminal import as_json, clean, data_stream, is_terminal, write
from stretto.errors import Fault, InputInvalid, StrettoError, WorkflowInvalid

if TYPE_CHECKING:
    from stretto.graphs.spec import Workflow

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflow files.")]
NoAgents = Annotated[
    bool,
    typer.Option("--no-agents", help="Run no code: leave agents.py alone and agents unchecked."),
]
Format = Literal["mermaid", "ascii", "json", "svg"]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Default: ascii on a terminal, mermaid elsewhere."),
]
OutFile = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE", help="Instead of stdout.")
]


@guarded
def validate(
    files: Files, agents: Agents = None, no_agents: NoAgents = False, json_form: AsJson = False
) -> None:
    """Check workflow files and list everything that is wrong with them.

    A file agents.py next to a workflow is loaded, so that its agents count as known.
    """
    found: list[dict[str, Any]] = []
    with data_stream() as stream:
        for file in files:
            try:
                workflow = _checked(file, agents or [], not no_agents)
            except WorkflowInvalid as error:
                found += [fault_record(file, fault) for fault in error.faults]
                for fault in () if json_form else error.faults:
                    write(stream, clean(f"{fault_line(file, fault)} [{fault.code}]"))
            else:
                if not json_form:
                    write(
                        stream, f"ok {workflow.name} {workflow.version} ({count_steps(workflow)})"
                    )
        if json_form:
            write(stream, as_json(found, stream, indent=2))
    if found:
        raise typer.Exit(INVALID)


def _checked(file: str, agents: list[str], look_at_agents: bool) -> "Workflow":
    from stretto.graphs.loading import load_file

    path = Path(file)
    workflow = load_file(path)
    if look_at_agents:
        try:
            registry = make_registry(load_crew(agents, path.parent), read_settings(), None)
        except StrettoError as error:
            raise WorkflowInvalid([Fault("", error.code, explain(error))], file) from error
        check_agents(workflow, registry, path)
    return workflow


def fault_record(file: str, fault: Fault) -> dict[str, Any]:
    """Give the JSON form of a fault in a file."""
    return {
        "file": file,
        "line": fault.line,
        "column": fault.column,
        "path": fault.path,
        "code": fault.code,
        "message": fault.message,
        "nearest": fault.nearest,
        "allowed": list(fault.allowed),
    }


def count_steps(workflow: "Workflow") -> str:
    """Say how many steps a workflow has, also inside others."""
    from stretto.graphs.topology import walk

    number = sum(1 for _ in walk(workflow.steps))
    return f"{number} step" + ("s" if number != 1 else "")


@guarded
def graph(source: Source, form: FormatOption = None, output: OutFile = None) -> None:
    """Draw a workflow."""
    workflow, _ = find_workflow(source)
    on_terminal = output is None and is_terminal(sys.stdout)
    text = draw(workflow, form or ("ascii" if on_terminal else "mermaid")).rstrip("\n")
    if output is None:
        write(sys.stdout, clean(text))
        return
    try:
        Path(output).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise InputInvalid(f"cannot write {output}: {error.strerror or error}") from None
    say(f"wrote {output}")


def draw(workflow: "Workflow", form: Format) -> str:
    """Draw a workflow in a form."""
    from stretto.graphs import drawing

    if form == "ascii":
        return drawing.to_ascii(workflow, shutil.get_terminal_size((100, 24)).columns)
    forms = {"mermaid": drawing.to_mermaid, "json": drawing.to_json, "svg": drawing.to_svg}
    return forms[form](workflow)


@guarded
def schema() -> None:
    """Print the JSON Schema of workflow files, for editors and models."""
    from stretto.graphs.schema import workflow_schema

    write(sys.stdout, as_json(workflow_schema(), sys.stdout, indent=2))
