"""list prompts and show prompt: what a model is told, before it is told."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stretto.prompts import load_prompt

Command = Callable[..., subprocess.CompletedProcess[str]]
GREETING = """---
name: greeting
version: 2.0.0
description: Say hello.
values: {who: the one who is greeted, items: a list}
model: {temperature: 0.2}
---
Hello {{who}}: {{#items}}{{.}};{{/items}}
{{> _data_rules}}
"""


@pytest.fixture(autouse=True)
def greeting(project: Path) -> None:
    (project / "greeting.md").write_text(GREETING, encoding="utf-8")


def test_a_prompt_is_shown_with_its_facts_and_includes(stretto: Command) -> None:
    done = stretto("show", "prompt", "greeting.md")
    prompt = load_prompt("_data_rules")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0].startswith("greeting 2.0.0  sha256 ")
    assert "  who    the one who is greeted" in lines
    assert "  temperature  0.2" in lines
    assert "Hello {{who}}: {{#items}}{{.}};{{/items}}" in lines
    assert prompt.text.strip() in done.stdout


def test_a_shipped_prompt_is_shown_by_its_name(stretto: Command) -> None:
    shown = json.loads(stretto("show", "prompt", "account_advice", "--json").stdout)
    prompt = load_prompt("account_advice")
    assert (shown["sha256"], shown["text"]) == (prompt.digest, prompt.text)
    assert (shown["rendered"], shown["includes"]) == (None, ["_data_rules"])


def test_with_values_only_what_the_model_gets_is_written(stretto: Command, project: Path) -> None:
    (project / "values.json").write_text('{"who": "Ann", "items": [1]}', encoding="utf-8")
    rest = load_prompt("_data_rules").text
    done = stretto("show", "prompt", "greeting.md", "-v", "who=1.50", "-v", 'items=["a", 2]')
    assert done.stdout == f"Hello 1.50: a;2;\n{rest}"
    done = stretto("show", "prompt", "greeting.md", "--values", "values.json", "--value", "who=Bo")
    assert done.stdout == f"Hello Bo: 1;\n{rest}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prompt", "greeting.md", "-v", "who=x"), "prompt 'greeting' needs 'items'"),
        (("prompt", "greeting.md", "-v", "whom=x"), "does not use 'whom'"),
        (("prompt", "account_advise"), "Did you mean 'account_advice'?"),
        (("prompt", "absent.md"), "prompt file 'absent.md' cannot be read"),
        (("prompt",), "name a prompt: 'stretto show prompt NAME'"),
        (("tell.yaml", "more"), "'more' goes with a prompt"),
        (("tell.yaml", "-v", "a=1"), "'values' goes with a prompt"),
    ],
)
def test_a_wrong_request_ends_in_one_message(
    words: tuple[str, ...], message: str, stretto: Command
) -> None:
    done = stretto("show", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_shipped_prompts_are_listed(stretto: Command) -> None:
    rows = [line.split("\t") for line in stretto("list", "prompts").stdout.splitlines()]
    prompt = load_prompt("account_advice")
    assert [prompt.name, prompt.version, " ".join(prompt.values), prompt.description] in rows
    assert not any(row[0].startswith("_") for row in rows)
    entries = json.loads(stretto("list", "prompts", "--json").stdout)
    values = {entry["name"]: entry["values"] for entry in entries}
    assert list(values) == ["account_advice", "memory_contradiction", "memory_summary"]
    assert values["account_advice"]["level"] == "low, medium, high or critical"


def test_a_workflow_is_shown_as_json_too(stretto: Command) -> None:
    shown = json.loads(stretto("show", "tell.yaml", "--json").stdout)
    assert [step["id"] for step in shown["steps"]] == ["first", "told"]
