"""The real command in processes of its own, in a folder with a small project."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
Command = Callable[..., subprocess.CompletedProcess[str]]

AGENTS = """
import asyncio
from pathlib import Path
from stretto import Agent, Task, agent
from stretto.errors import StepFailed

print("agents are loaded")

@agent
async def echo(task: Task):
    print("printed by an agent")
    return {"text": task.params.get("text", "hello")}

@agent
async def hold(task: Task):
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    return "held"

@agent
async def picky(task: Task):
    if not Path("fixed").exists():
        raise StepFailed("it is [red]broken[/red]", code="broken")
    return "fixed"

@agent
async def teller(task: Task):
    for word in ("One ", "[bold]two[/bold] ", "\\x1b[31mthree"):
        yield word
"""
FLOWS = {
    "tell": """
        name: tell
        inputs: {title: string, count: {type: integer, default: 1}}
        steps:
          - {id: first, agent: echo, params: {text: "${input.title}"}}
          - {id: told, agent: teller, depends_on: [first], stream: answer}
        output: {title: "${first.text}", count: "${input.count}", told: "${told}"}
    """,
    "hold": """
        name: hold
        steps:
          - {id: first, agent: echo}
          - {id: held, agent: hold, depends_on: [first]}
          - {id: last, agent: echo, depends_on: [held], params: {text: "after ${held.result}"}}
        output: {text: "${last.text}"}
    """,
    "break": """
        name: break
        steps:
          - {id: first, agent: echo}
          - {id: weak, agent: picky, depends_on: [first]}
        output: "${weak.result}"
    """,
    "ask": """
        name: ask
        steps:
          - {id: draft, agent: echo, params: {text: "a [b]draft[/b]"}}
          - {id: ok, depends_on: [draft], approval: {message: "Publish ${draft.text}?"}}
        output: {choice: "${ok.choice}"}
    """,
    "review": """
        name: review
        steps:
          - {id: draft, agent: echo, params: {text: "a draft"}}
          - id: ok
            depends_on: [draft]
            approval:
              message: "Publish?"
              edit: "${draft}"
              edit_schema: {required: [text]}
              comment: required
        output: "${ok}"
    """,
}


def environment(**extra: str) -> dict[str, str]:
    """Give the environment of a command, without the keys and settings of this process."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | extra


def command_line(*words: str) -> list[str]:
    return [sys.executable, "-m", "stretto", *words]


def write_project(folder: Path) -> Path:
    (folder / "agents.py").write_text(AGENTS, encoding="utf-8")
    for name, text in FLOWS.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with agents and workflows."""
    return write_project(tmp_path)


@pytest.fixture
def stretto(project: Path) -> Command:
    """Run the command in the project's folder and wait for its end."""

    def run(*words: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(*words),
            cwd=project,
            env=environment(**extra),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
        )

    return run


Started = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def started(project: Path) -> Iterator[Started]:
    """Start the command in the project's folder and leave it running until the test's end."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command_line(*words),
            cwd=project,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
