"""Bad inputs of `stretto run`: exit 2, one clear message, soon, and nothing is started."""

import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
CPU_SECONDS = 2.0
FILES: dict[str, bytes] = {
    "bomb.yaml": b"name: x\na: &a [1, 2]\nb: &b [*a, *a]\nsteps: *b\n",
    "brackets.yaml": b"[" * 200_000,
    "brackets.json": b"[" * 200_000,
    "big.yaml": b"name: x\n#" + b"a" * 5_000_000,
    "latin.yaml": b"name: caf\xe9\n",
    "cycle.yaml": b"name: x\nsteps:\n"
    b"  - {id: a, agent: echo, depends_on: [b]}\n  - {id: b, agent: echo, depends_on: [a]}\n",
    "nobody.yaml": b"name: x\nsteps:\n  - id: a\n    agent: ecoh\n",
}
CASES = {
    ("bomb.yaml",): "bomb.yaml:2:4: a: Anchors",
    ("brackets.yaml",): "brackets.yaml: More than 50 levels",
    ("brackets.json",): "More than 50 levels",
    ("big.yaml",): "big.yaml: The text is longer than the 1,000,000 bytes",
    ("latin.yaml",): "latin.yaml:1:10: This is not UTF-8",
    ("cycle.yaml",): "a -> b -> a",
    ("nobody.yaml",): "nobody.yaml:4:5: steps[0].agent: There is no agent 'ecoh'. "
    "Did you mean 'echo'?",
    ("folder.yaml",): "folder.yaml: The file cannot be read: Is a directory.",
    ("absent.yaml",): "absent.yaml: The file cannot be read: No such file or directory.",
    ("acount_analysis",): "Did you mean 'account_analysis'?",
    ("tell.yaml",): "The input 'title' is missing",
    ("tell.yaml", "-i", "title=x", "-i", "count=many"): "'many' is not of type 'integer'",
    ("tell.yaml", "-i", "title"): "write key=value, not 'title'",
    ("tell.yaml", "-i", "title=@absent"): "cannot read absent: No such file or directory",
    ("tell.yaml", "--input", "bomb.yaml"): "bomb.yaml:1:1: the input is not JSON",
    ("tell.yaml", "-i", "title=x", "--json", "--events"): "give --json or --events, not both",
    ("tell.yaml", "-i", "title=x", "--agents", "absent.py"): "there is no file absent.py",
    ("tell.yaml", "-i", "title=x", "--agents", "no.such"): "No module named 'no'",
}


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(("words", "message"), CASES.items(), ids=lambda case: " ".join(case))
def test_it_is_refused_at_once(
    words: tuple[str, ...], message: str, stretto: Command, project: Path
) -> None:
    for name, content in FILES.items():
        (project / name).write_bytes(content)
    (project / "folder.yaml").mkdir()
    before = cpu_seconds()
    done = stretto("run", *words)
    used = cpu_seconds() - before
    told = [line for line in done.stderr.splitlines() if line != "agents are loaded"]
    assert (done.returncode, done.stdout, len(told)) == (2, "", 1)
    assert told[0].startswith("error: ")
    assert message in told[0]
    assert used < CPU_SECONDS
    assert not (project / ".stretto").exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\nimport absent_thing\n", "mine.py (line 2): ModuleNotFoundError: No module named"),
        ("def f(:\n", "mine.py (mine.py, line 1): SyntaxError: invalid syntax"),
        ("x = 1\n", "mine.py defines no agent"),
        (
            "from stretto import Agent\nclass A(Agent):\n    def __init__(self, x): ...\n",
            "agent class A in mine.py needs arguments",
        ),
    ],
)
def test_agents_that_cannot_be_loaded_are_explained_in_one_line(
    code: str, message: str, stretto: Command, project: Path
) -> None:
    (project / "agents.py").unlink()
    (project / "mine.py").write_text(code, encoding="utf-8")
    done = stretto("run", "tell.yaml", "-i", "title=x", "--agents", "mine.py")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert message in done.stderr


@pytest.mark.parametrize("words", [("run",), ("run", "x", "--bogus"), ("bogus",), ("runs", "no")])
def test_bad_usage_ends_with_2(words: tuple[str, ...], stretto: Command) -> None:
    done = stretto(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage:" in done.stderr


@pytest.mark.parametrize(("option", "name"), [("--run-id", "run_id"), ("--session", "session_id")])
def test_bytes_that_are_no_text_are_refused_as_an_id(
    option: str, name: str, stretto: Command
) -> None:
    done = stretto("run", "tell.yaml", "-i", "title=x", option, "\udcff")
    assert (done.returncode, done.stdout) == (2, "")
    message = f"error: the {name} '\\udcff' is no text that UTF-8 can hold"
    assert done.stderr.splitlines()[-1] == message
