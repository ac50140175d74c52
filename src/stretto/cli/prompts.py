"""Prompts as they are, and as a model gets them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from stretto.cli.terminal import as_json, clean, console_on, is_terminal, print_part, write
from stretto.cli.values import json_or_text, read_input, read_pairs
from stretto.errors import InputInvalid

if TYPE_CHECKING:
    from stretto.prompts import Prompt

_NO_TEXT = ("[", "{", "true", "false", "null")
"""How a value begins that is read as JSON; numbers stay as they are written."""


def list_prompts(json_form: bool) -> None:
    """List the shipped prompts."""
    from stretto.prompts import load_prompt, prompt_names

    prompts = [load_prompt(name) for name in prompt_names()]
    if json_form:
        write(sys.stdout, as_json([_entry(prompt) for prompt in prompts], sys.stdout, 2))
        return
    rows = [(p.name, p.version, " ".join(p.values), p.description) for p in prompts]
    if not is_terminal(sys.stdout):
        for row in rows:
            write(sys.stdout, clean("\t".join(row)))
        return
    table = Table("name", "version", "values", "description", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console_on(sys.stdout).print(table)


def show_prompt(
    name: str | None, pairs: Sequence[str], values_file: str | None, json_form: bool
) -> None:
    """Show a prompt; as a model gets it, and nothing else, when values are given.

    Args:
        name: a shipped prompt, or a Markdown file.
        pairs: values as ``key=value``; they win over those of the file.
        values_file: a JSON file with values, or ``-``.
        json_form: whether to write everything as one JSON document.

    Raises:
        InputInvalid: no prompt is named, or the values cannot be read.
        ConfigurationError: there is no such prompt, or the values are not the ones it needs.

    """
    from stretto.prompts import load_prompt

    if name is None:
        raise InputInvalid("name a prompt: 'stretto show prompt NAME'; 'list prompts' lists them")
    prompt = load_prompt(name)
    rendered: str | None = None
    if pairs or values_file is not None:
        given = read_input(values_file) if values_file is not None else {}
        rendered = prompt.render(**given | _read(pairs, prompt))
    if json_form:
        facts = {**_entry(prompt), "text": prompt.text, "rendered": rendered}
        write(sys.stdout, as_json(facts, sys.stdout, indent=2))
    elif rendered is not None:
        write(sys.stdout, clean(rendered))
    else:
        _print(prompt)


def _read(pairs: Sequence[str], prompt: "Prompt") -> dict[str, Any]:
    texts = {name: {"type": "string"} for name in prompt.values}
    values = read_pairs(pairs, {"properties": texts})
    return {
        key: json_or_text(value) if str(value).startswith(_NO_TEXT) else value
        for key, value in values.items()
    }


def _entry(prompt: "Prompt") -> dict[str, Any]:
    return {
        "name": prompt.name,
        "version": prompt.version,
        "sha256": prompt.digest,
        "description": prompt.description,
        "values": {name: prompt.about.get(name, "") for name in prompt.values},
        "model": prompt.model.to_dict(),
        "includes": list(prompt.includes),
    }


def _print(prompt: "Prompt") -> None:
    console = console_on(sys.stdout)
    title = f"{prompt.name} {prompt.version}"
    console.print(Text(clean(title), "bold").append(f"  sha256 {prompt.digest[:12]}", "not bold"))
    console.print(Text(clean(prompt.description or "No description.")), soft_wrap=True)
    print_part("Values", [(name, prompt.about.get(name, "")) for name in prompt.values])
    if hints := prompt.model.to_dict():
        print_part("Model", [(key, str(value)) for key, value in hints.items()])
    if prompt.includes:
        print_part("Includes", [(name,) for name in prompt.includes])
    console.print(Text("\nText", "bold"))
    console.print(Text(clean(prompt.text.rstrip("\n"))), soft_wrap=True)
