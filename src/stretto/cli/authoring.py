"""Commands for those who write workflows: validate, graph, list, show, schema."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from stretto.cli.board import who_does
from stretto.cli.crew import load_crew, make_registry
from stretto.cli.guard import INVALID, explain, fault_line, guarded, say
from stretto.cli.options import Agents, AsJson, Home, Source
from stretto.cli.roster import print_agents
from stretto.cli.sources import check_agents, find_workflow
from stretto.cli.terminal import as_json, clean, console_on, data_stream, is_terminal, write
from stretto.cli.values import record
from stretto.errors import Fault, InputInvalid, StrettoError, WorkflowInvalid

if TYPE_CHECKING:
    from stretto.graphs.spec import Step, Workflow

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflow files.")]
NoAgents = Annotated[
    bool,
    typer.Option("--no-agents", help="Run no code: leave agents.py alone and agents unchecked."),
]
What = Annotated[
    Literal["workflows", "agents"], typer.Argument(metavar="workflows|agents", help="What to list.")
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
                    write(stream, f"ok {workflow.name} {workflow.version} ({_count(workflow)})")
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
            registry = make_registry(load_crew(agents, path.parent), None)
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


def _count(workflow: "Workflow") -> str:
    from stretto.graphs.topology import walk

    number = sum(1 for _ in walk(workflow.steps))
    return f"{number} step" + ("s" if number != 1 else "")


@guarded
def graph(source: Source, form: FormatOption = None, output: OutFile = None) -> None:
    """Draw a workflow."""
    workflow, _ = find_workflow(source)
    on_terminal = output is None and is_terminal(sys.stdout)
    text = _drawing(workflow, form or ("ascii" if on_terminal else "mermaid")).rstrip("\n")
    if output is None:
        write(sys.stdout, clean(text))
        return
    try:
        Path(output).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise InputInvalid(f"cannot write {output}: {error.strerror or error}") from None
    say(f"wrote {output}")


def _drawing(workflow: "Workflow", form: Format) -> str:
    from stretto.graphs import drawing

    if form == "ascii":
        return drawing.to_ascii(workflow, shutil.get_terminal_size((100, 24)).columns)
    draw = {"mermaid": drawing.to_mermaid, "json": drawing.to_json, "svg": drawing.to_svg}[form]
    return draw(workflow)


@guarded
def list_all(
    what: What = "workflows", agents: Agents = None, home: Home = None, json_form: AsJson = False
) -> None:
    """List the shipped workflows, or the agents: those of this folder and the shipped ones.

    Of agents it tells how they have been doing in the runs that are recorded here.
    """
    if what == "agents":
        print_agents(agents or [], home, json_form)
    else:
        _list_workflows(json_form)


def _list_workflows(json_form: bool) -> None:
    from stretto.graphs.library import shipped

    library = shipped()
    workflows = [library.get(name) for name in library.names()]
    if json_form:
        write(sys.stdout, as_json([_entry(workflow) for workflow in workflows], sys.stdout, 2))
        return
    if not is_terminal(sys.stdout):
        for w in workflows:
            cells = (w.id, w.version, _count(w), " ".join(_inputs(w)), w.description)
            write(sys.stdout, clean("\t".join(cells)))
        return
    table = Table("name", "version", "steps", "inputs", "description", box=None, pad_edge=False)
    for w in workflows:
        number = _count(w).split()[0]
        cells = (w.id, w.version, number, "\n".join(_inputs(w)), w.description)
        table.add_row(*(Text(clean(cell)) for cell in cells))
    console_on(sys.stdout).print(table)


def _entry(workflow: "Workflow") -> dict[str, Any]:
    return {
        "name": workflow.id,
        "version": workflow.version,
        "description": workflow.description,
        "steps": [step.id for step in workflow.steps],
        "inputs": workflow.inputs,
    }


def _inputs(workflow: "Workflow") -> list[str]:
    """Write each input as ``name: type``, with ``?`` when it may be left out."""
    from stretto.graphs.inputs import input_schema

    schema = input_schema(workflow.inputs)
    needed = schema.get("required") or ()
    told: list[str] = []
    for name, declared in record(schema.get("properties")).items():
        kind = record(declared).get("type", "any")
        told.append(f"{name}: {kind}{'' if name in needed else '?'}")
    return told


@guarded
def show(source: Source) -> None:
    """Show a workflow: description, inputs, steps, critical path, drawing."""
    workflow, _ = find_workflow(source)
    console = console_on(sys.stdout)
    console.print(Text(clean(f"{workflow.name} {workflow.version}"), "bold"))
    console.print(Text(clean(workflow.description or "No description.")), soft_wrap=True)
    _print_part("Inputs", [(line, _about(workflow, line)) for line in _inputs(workflow)])
    _print_part("Steps", [_step_cells(step) for step in workflow.steps])
    path = " -> ".join(step.id for step in workflow.critical_path())
    _print_part("Critical path", [(path,)])
    console.print()
    console.print(Text(clean(_drawing(workflow, "ascii").rstrip("\n"))), soft_wrap=True)


def _print_part(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns that are as wide as they need, whatever the terminal's width."""
    console = console_on(sys.stdout)
    console.print()
    console.print(Text(title, "bold"))
    cells = [[clean(cell) for cell in row] for row in rows or [("none",)]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *others = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        line = Text(f"  {first}").append("".join(f"  {cell}" for cell in others), "dim")
        line.rstrip()
        console.print(line, soft_wrap=True)


def _about(workflow: "Workflow", line: str) -> str:
    from stretto.graphs.inputs import input_schema

    properties = record(input_schema(workflow.inputs).get("properties"))
    facts = record(properties.get(line.partition(":")[0]))
    told = [str(facts.get("description") or "")]
    if "default" in facts:
        told.append(f"default {json.dumps(facts['default'], ensure_ascii=False)}")
    return "  ".join(text for text in told if text)


def _step_cells(step: "Step") -> tuple[str, ...]:
    needs = f"after {', '.join(step.depends_on)}" if step.depends_on else ""
    does = who_does(step) + (f".{step.action}" if step.action else "")
    return step.id, does, needs, step.description or ""


@guarded
def schema() -> None:
    """Print the JSON Schema of workflow files, for editors and models."""
    from stretto.graphs.schema import workflow_schema

    write(sys.stdout, as_json(workflow_schema(), sys.stdout, indent=2))
