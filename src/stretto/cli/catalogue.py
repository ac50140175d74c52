"""Commands that look things up: list, show."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from stretto.cli.authoring import count_steps, draw
from stretto.cli.board import who_does
from stretto.cli.guard import guarded
from stretto.cli.options import Agents, AsJson, Home
from stretto.cli.prompts import list_prompts, show_prompt
from stretto.cli.roster import print_agents
from stretto.cli.sources import find_workflow
from stretto.cli.terminal import as_json, clean, console_on, is_terminal, print_part, write
from stretto.cli.values import record
from stretto.errors import InputInvalid

if TYPE_CHECKING:
    from stretto.graphs.spec import Step, Workflow

Listed = Annotated[
    Literal["workflows", "prompts", "agents"], typer.Argument(metavar="workflows|prompts|agents")
]
Shown = Annotated[
    str, typer.Argument(metavar="NAME|FILE|prompt", help="A workflow, or 'prompt' and its name.")
]
PromptName = Annotated[
    str | None, typer.Argument(metavar="NAME|FILE", help="A shipped prompt, or a Markdown file.")
]
Values = Annotated[
    list[str] | None,
    typer.Option("-v", "--value", metavar="KEY=VALUE", help="A value of the prompt; repeatable."),
]
ValuesFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Values of the prompt, as a JSON object; - is stdin."),
]


@guarded
def list_known(
    what: Listed = "workflows", agents: Agents = None, home: Home = None, json_form: AsJson = False
) -> None:
    """List the shipped workflows, the shipped prompts, or the agents there are here.

    Of agents it tells how they have been doing in the runs that are recorded here.
    """
    if what == "agents":
        print_agents(agents or [], home, json_form)
    elif what == "prompts":
        list_prompts(json_form)
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
            cells = (w.id, w.version, count_steps(w), " ".join(_inputs(w)), w.description)
            write(sys.stdout, clean("\t".join(cells)))
        return
    table = Table("name", "version", "steps", "inputs", "description", box=None, pad_edge=False)
    for w in workflows:
        number = count_steps(w).split()[0]
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
def show(
    what: Shown,
    name: PromptName = None,
    pairs: Values = None,
    values: ValuesFile = None,
    json_form: AsJson = False,
) -> None:
    """Show a workflow, or a prompt: `stretto show account_analysis`, `show prompt NAME`.

    A workflow is shown with its inputs, steps, critical path and drawing; a prompt with its text
    and what it includes, or as a model gets it when values are given.
    """
    if what == "prompt":
        show_prompt(name, pairs or [], values, json_form)
    elif name is not None or pairs or values:
        extra = name or "values"
        raise InputInvalid(f"'{extra}' goes with a prompt: 'stretto show prompt NAME'")
    else:
        _show_workflow(what, json_form)


def _show_workflow(source: str, json_form: bool) -> None:
    workflow, _ = find_workflow(source)
    if json_form:
        declared = workflow.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        write(sys.stdout, as_json(declared, sys.stdout, indent=2))
        return
    console = console_on(sys.stdout)
    console.print(Text(clean(f"{workflow.name} {workflow.version}"), "bold"))
    console.print(Text(clean(workflow.description or "No description.")), soft_wrap=True)
    print_part("Inputs", [(line, _about(workflow, line)) for line in _inputs(workflow)])
    print_part("Steps", [_step_cells(step) for step in workflow.steps])
    path = " -> ".join(step.id for step in workflow.critical_path())
    print_part("Critical path", [(path,)])
    console.print()
    console.print(Text(clean(draw(workflow, "ascii").rstrip("\n"))), soft_wrap=True)


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
