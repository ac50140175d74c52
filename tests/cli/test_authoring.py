"""validate, graph, list, show, schema, and what the command costs to start."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

Command = Callable[..., subprocess.CompletedProcess[str]]
BAD = "name: bad\nstepz: 1\nsteps:\n  - {id: a, agent: echo, depends_on: [b]}\n"


def test_validate_lists_the_faults_of_all_files_with_their_places(
    stretto: Command, project: Path
) -> None:
    (project / "bad.yaml").write_text(BAD, encoding="utf-8")
    done = stretto("validate", "tell.yaml", "bad.yaml", "absent.yaml")
    lines = done.stdout.splitlines()
    assert done.returncode == 2
    assert lines[0] == "ok tell 1.0.0 (2 steps)"
    assert lines[1].startswith("bad.yaml:2:1: stepz: ")
    assert "Did you mean 'steps'?" in lines[1]
    assert lines[2].startswith("bad.yaml:4:")
    assert lines[2].endswith("[unknown_step]")
    assert lines[3].startswith("absent.yaml: The file cannot be read")
    assert len(lines) == 4


def test_validate_gives_faults_as_json(stretto: Command, project: Path) -> None:
    (project / "bad.yaml").write_text(BAD, encoding="utf-8")
    done = stretto("validate", "--json", "bad.yaml", "tell.yaml")
    faults = json.loads(done.stdout)
    assert done.returncode == 2
    assert [(f["file"], f["line"], f["code"]) for f in faults] == [
        ("bad.yaml", 2, "unknown_key"),
        ("bad.yaml", 4, "unknown_step"),
    ]


def test_validate_without_agents_runs_no_code(stretto: Command, project: Path) -> None:
    (project / "agents.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    assert stretto("validate", "--no-agents", "tell.yaml").returncode == 0
    assert not (project / "ran").exists()
    assert stretto("validate", "tell.yaml").returncode == 2
    assert (project / "ran").exists()


@pytest.mark.parametrize(
    ("form", "begins"), [("mermaid", "flowchart"), ("ascii", "tell 1.0.0"), ("svg", "<svg")]
)
def test_graph_draws(form: str, begins: str, stretto: Command) -> None:
    done = stretto("graph", "tell.yaml", "--format", form)
    assert done.returncode == 0
    assert begins in done.stdout.splitlines()[0] + done.stdout
    assert "told" in done.stdout


def test_graph_writes_a_file_and_is_mermaid_in_a_pipe(stretto: Command, project: Path) -> None:
    done = stretto("graph", "tell.yaml", "-o", "out.json", "--format", "json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote out.json\n")
    assert json.loads((project / "out.json").read_text(encoding="utf-8"))
    piped = stretto("graph", "tell.yaml").stdout
    assert piped == stretto("graph", "tell.yaml", "--format", "mermaid").stdout


def test_list_and_show_tell_of_shipped_workflows(stretto: Command) -> None:
    listed = [line.split("\t") for line in stretto("list").stdout.splitlines()]
    row = next(row for row in listed if row[0] == "account_analysis")
    assert row[1:4] == ["1.0.0", "4 steps", "account_id: string"]
    shown = stretto("show", "account_analysis").stdout
    assert "fetch -> risk -> advise" in shown
    assert row[4] in shown
    entries = json.loads(stretto("list", "--json").stdout)
    assert {"fetch", "advise"} <= set(
        next(e for e in entries if e["name"] == "account_analysis")["steps"]
    )


def test_schema_is_a_json_schema(stretto: Command) -> None:
    Draft202012Validator.check_schema(json.loads(stretto("schema").stdout))


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(option: str) -> None:
    program = (
        "import sys\nsys.argv = ['stretto', sys.argv[1]]\nfrom stretto.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, option], capture_output=True, text=True, check=True
    )
    assert "stretto" in done.stdout.lower()
    heavy = ("langgraph", "langchain_core", "sqlalchemy", "pydantic", "yaml", "openai", "alembic")
    assert [name for name in heavy if f"'{name}'" in done.stderr] == []


def test_list_agents_tells_how_they_have_been_doing(stretto: Command) -> None:
    before = {row[0]: row[1:] for row in rows(stretto("list", "agents"))}
    assert before["echo"] == ["", "5", "0", "0", "-", "-"]
    assert before["risk_analyzer"][:2] == ["analysis validation", "4"]
    stretto("run", "tell.yaml", "-i", "title=x")
    stretto("run", "tell.yaml", "-i", "title=y")
    after = {row[0]: row[1:] for row in rows(stretto("list", "agents"))}
    assert (after["echo"][2:4], after["echo"][5]) == (["2", "0"], "healthy")
    assert after["echo"][4].endswith(" s")
    assert after["hold"] == before["hold"]
    entries = {
        entry["name"]: entry for entry in json.loads(stretto("list", "agents", "--json").stdout)
    }
    assert (entries["teller"]["calls"], entries["teller"]["last_error"]) == (2, None)
    elsewhere = {row[0]: row[1:] for row in rows(stretto("list", "agents", "--home", "other"))}
    assert elsewhere == before


def test_list_agents_shows_failures_and_agents_that_are_only_recorded(
    stretto: Command, project: Path
) -> None:
    stretto("run", "break.yaml")
    (project / "agents.py").unlink()
    listed = {row[0]: row[1:] for row in rows(stretto("list", "agents"))}
    assert (listed["picky"][:2], listed["picky"][3], listed["picky"][5]) == (
        ["", "-"],
        "1",
        "degraded",
    )


def rows(done: "subprocess.CompletedProcess[str]") -> list[list[str]]:
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]
