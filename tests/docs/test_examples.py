"""What the documents show is run, what they list is what there is, and their links lead somewhere.

A block ```` ```python continued ```` goes on in the names of the one before it. Where every
``print(...)`` of a block ends in a comment, the comments are what has to be printed. A block
```` ```yaml fragment ```` is a list of steps or some keys of a workflow.
"""

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from stretto import Task
from stretto.events import EVENT_TYPES
from stretto.graphs.aliases import RENAMED
from stretto.graphs.forms.kinds import KINDS
from stretto.graphs.limits import Limits
from stretto.graphs.loading import load_text
from stretto.graphs.spec import Approval, Http, Map, Policy, Retry, Step, Workflow
from stretto.graphs.validation import find_faults

REPO = Path(__file__).parents[2]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
LINKED = [*PAGES, REPO / "CHANGELOG.md", REPO / "CONTRIBUTING.md"]
_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINT = re.compile(r"^\s*print\(.*?\)(?:  # (.*))?$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


@dataclass(frozen=True)
class Block:
    """A block of code in a document."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPO)}:{self.line}"


def blocks_of(page: Path, language: str) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        if found[1] == language:
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page, line, found[1], found[2].strip(), found[3])


def read(name: str) -> str:
    return (REPO / name).read_text(encoding="utf-8")


PYTHON = [block for page in PAGES for block in blocks_of(page, "python")]
YAML = [block for page in PAGES for block in blocks_of(page, "yaml")]


def stories() -> Iterator[list[Block]]:
    """Give the blocks that share their names, in their order."""
    story: list[Block] = []
    for block in PYTHON:
        if block.mark != "continued" and story:
            yield story
            story = []
        story.append(block)
    yield story


def promised(text: str) -> list[str] | None:
    """Give the lines that a block says it prints; None when it does not say all of them."""
    comments = [found[1] for found in _PRINT.finditer(text)]
    if not comments or None in comments:
        return None
    return [line for comment in comments for line in comment.split(" / ")]


@pytest.mark.parametrize("story", [*stories()], ids=lambda story: str(story[0]))
async def test_an_example_in_python_runs_and_prints_what_it_says(
    story: list[Block],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "STRETTO_MODEL", "STRETTO_HOME", "STRETTO_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    names: dict[str, Any] = {"__name__": "example"}
    for block in story:
        assert block.mark in ("", "continued"), f"{block}: unknown mark {block.mark!r}"
        # Blank lines in front let a traceback name the line of the document.
        text = "\n" * block.line + block.text
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        result = eval(compile(text, str(block.page), "exec", flags, dont_inherit=True), names)
        if inspect.isawaitable(result):
            await result
        printed = capsys.readouterr().out.splitlines()
        expected = promised(block.text)
        assert expected is None or printed == expected


@pytest.mark.parametrize("block", [b for b in YAML if not b.mark], ids=str)
def test_a_workflow_in_yaml_is_valid(block: Block) -> None:
    workflow = load_text(block.text, "yaml", str(block))
    assert find_faults(workflow) == []


@pytest.mark.parametrize("block", [b for b in YAML if b.mark], ids=str)
def test_a_part_of_a_workflow_in_yaml_is_valid_inside_one(block: Block) -> None:
    assert block.mark == "fragment"
    steps = block.text.lstrip().startswith(("- ", "#"))
    rest = "steps:\n" if steps else "steps: [{id: only, agent: someone}]\n"
    workflow = load_text(f"name: fragment\n{rest}{block.text}", "yaml", str(block))
    assert find_faults(workflow) == []


def commands_of(page: Path) -> list[str]:
    lines = (line for block in blocks_of(page, "console") for line in block.text.splitlines())
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ stretto ")]


@pytest.mark.parametrize("page", [p for p in PAGES if commands_of(p)], ids=lambda page: page.name)
def test_commands_end_well_one_after_the_other(page: Path, tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    for command in commands_of(page):
        words = shlex.split(command, comments=True)[1:]
        ended = subprocess.run(
            [sys.executable, "-m", "stretto", *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stderr}"


def headings_of(page: Path) -> set[str]:
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_a_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    broken: list[str] = []
    for link in links:
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (heading and heading not in headings_of(target)):
            broken.append(link)
    assert broken == []


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in _LINK.findall(read("README.md"))}
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= linked


@pytest.mark.parametrize("model", [Workflow, Step, Policy, Retry, Map, Approval, Http])
def test_every_key_of_a_workflow_is_documented(model: type[Workflow]) -> None:
    text = read("docs/workflows.md")
    keys = [field.alias or name for name, field in model.model_fields.items()]
    assert [key for key in keys if not re.search(rf"`{key}`|\b{key}:", text)] == []


def test_every_other_spelling_is_documented() -> None:
    text = read("docs/workflows.md").partition("## Other spellings")[2].partition("\n## ")[0]
    assert [alias for alias in (*RENAMED, *KINDS) if not re.search(rf"\b{alias}\b", text)] == []


def codes_in_source() -> set[str]:
    """Collect the codes that validation writes out, from the calls that make or note faults."""
    codes: set[str] = set()
    for file in (REPO / "graphs").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                place = {"Fault": 1, "add": 0, "once": 0, "refuse": 0}.get(called)
                if place is not None and len(node.args) > place:
                    code = node.args[place]
                    if isinstance(code, ast.Constant) and isinstance(code.value, str):
                        codes.add(code.value)
    return codes


def test_the_codes_of_faults_are_those_of_the_source() -> None:
    table = read("docs/workflows.md").partition("| about | codes |")[2].partition("\n## ")[0]
    documented = {code for code in re.findall(r"`([a-z0-9_]+)`", table)}
    source = "".join(f.read_text(encoding="utf-8") for f in (REPO / "graphs").rglob("*.py"))
    assert codes_in_source() - documented == set()
    assert [code for code in sorted(documented) if f'"{code}"' not in source] == []


def test_the_limits_are_those_of_the_source() -> None:
    text = read("docs/workflows.md").partition("\n## Limits")[2]
    limits = Limits()
    shown = [
        f"{limits.size // 1_000_000} MB",
        f"{limits.nodes:,} values",
        f"{limits.depth} levels",
        f"{limits.steps} steps",
        f"{limits.items:,} items",
        f"{limits.faults} faults",
    ]
    assert [limit for limit in shown if limit not in text] == []


def test_every_type_of_event_is_documented() -> None:
    table = read("docs/runs.md").partition("| event | data |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(EVENT_TYPES)


def test_every_field_of_a_task_is_documented() -> None:
    table = read("docs/agents.md").partition("| field | what it is |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    others = ["memory", "scope", "state", "usage"]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted([*Task.FIELDS, *others])


def test_every_state_and_priority_is_documented() -> None:
    fields = Workflow.model_fields
    words = [*get_args(fields["priority"].annotation), *get_args(fields["mode"].annotation)]
    text = read("docs/workflows.md")
    assert [word for word in words if f"`{word}`" not in text] == []
