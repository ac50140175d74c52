"""A question answered from the command line, and at the terminal."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import environment
from tests.cli.test_running import after_stretto

Command = Callable[..., subprocess.CompletedProcess[str]]


class Terminal:
    """A command on a pseudo terminal, and the person who types there."""

    def __init__(self, ours: int, process: "subprocess.Popen[bytes]") -> None:
        self._ours = ours
        self._process = process
        self.seen = ""

    def until(self, text: str) -> None:
        """Read until a text is there."""
        while text not in self.seen:
            self.seen += os.read(self._ours, 65536).decode("utf-8")

    def say(self, prompt: str, line: str) -> None:
        """Type a line once a prompt is there, and let what was seen before it be."""
        self.until(prompt)
        self.seen = self.seen.partition(prompt)[2]
        os.write(self._ours, f"{line}\n".encode())

    def end(self) -> int:
        """Read to the end and give the exit code."""
        try:
            while piece := os.read(self._ours, 65536):
                self.seen += piece.decode("utf-8")
        except OSError:  # Linux reports the end of a terminal as an error
            pass
        return self._process.wait(timeout=30)


@contextmanager
def terminal(folder: Path, *words: str, **extra: str) -> Generator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stretto", *words],
        cwd=folder,
        env=environment(TERM="xterm", COLUMNS="200", LANG="C.UTF-8", **extra),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_what_can_be_edited_is_shown_with_answers_that_work(stretto: Command) -> None:
    asked = stretto("run", "review.yaml", "--run-id", "r1")
    assert asked.returncode == 3
    assert "step 'ok' asks: Publish? (approve | reject)" in asked.stderr
    assert '    {\n      "text": "a draft"\n    }\n' in asked.stderr
    command = after_stretto(asked.stderr)
    assert json.loads(command[-1]) == {"choice": "approve", "comment": "WHY"}
    answered = stretto(*command, "--json")
    assert json.loads(answered.stdout)["output"] == {
        "choice": "approve",
        "comment": "WHY",
        "value": {"text": "a draft"},
        "edited": False,
    }


REFUSED = {
    "perhaps": "choose approve, reject",
    '{"choice": "approve"': "choose approve, reject",
    "approve": "say why in a comment",
    '{"choice": "approve", "comment": "x", "edited": {}}': "'text' is a required property",
}


def test_a_refused_answer_ends_in_one_sentence_and_the_run_waits(stretto: Command) -> None:
    stretto("run", "review.yaml", "--run-id", "r1")
    for answer, reason in REFUSED.items():
        refused = stretto("runs", "resume", "r1", "--answer", answer)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert [reason in line for line in refused.stderr.splitlines()] == [False, True]
    (run,) = json.loads(stretto("runs", "list", "--json").stdout)
    assert run["state"] == "waiting"


def test_an_answer_on_the_command_line_may_edit(stretto: Command) -> None:
    stretto("run", "review.yaml", "--run-id", "r1")
    answer = {"choice": "approve", "comment": "ok", "edited": {"text": "final"}}
    done = stretto("runs", "resume", "r1", "--answer", json.dumps(answer), "--json")
    output = json.loads(done.stdout)["output"]
    assert (done.returncode, output["value"], output["edited"]) == (0, {"text": "final"}, True)


@pytest.fixture
def editor(tmp_path: Path) -> str:
    """An editor that first leaves broken JSON behind and then puts it right."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "text = file.read_text()\n"
        "broken = text.replace('a draft', 'final').replace('}', '')\n"
        "file.write_text(broken if '}' in text else text + '}')\n"
    )
    return f"{sys.executable} {script}"


def test_a_person_at_the_terminal_is_asked(stretto: Command, project: Path, editor: str) -> None:
    stretto("run", "review.yaml", "--run-id", "r1")
    with terminal(project, "runs", "resume", "r1", EDITOR=editor) as person:
        person.until('"text": "a draft"')
        person.say("approve | reject (Enter leaves it open): ", "aprove")
        person.until("choose approve, reject")
        person.say("approve | reject (Enter leaves it open): ", "approve")
        person.say("change the value? [y/N] ", "y")
        person.until("that is no JSON")
        person.say("open the editor again? [Y/n] ", "")
        person.say("comment: ", "")
        person.until("say why in a comment")
        person.say("approve | reject (Enter leaves it open): ", "approve")
        person.say("change the value? [y/N] ", "y")
        person.until("that is no JSON")
        person.say("open the editor again? [Y/n] ", "")
        person.say("comment: ", "good")
        assert person.end() == 0
    whole = json.loads(stretto("runs", "show", "r1", "--json").stdout)
    assert whole["result"]["output"] == {
        "choice": "approve",
        "comment": "good",
        "value": {"text": "final"},
        "edited": True,
    }


def test_a_question_that_is_left_open_waits_on(stretto: Command, project: Path) -> None:
    stretto("run", "ask.yaml", "--run-id", "q1")
    with terminal(project, "runs", "resume", "q1") as person:
        person.say("approve | reject (Enter leaves it open): ", "")
        assert person.end() == 3
        assert "stretto runs resume q1 --answer approve" in person.seen
    (run,) = json.loads(stretto("runs", "list", "--json").stdout)
    assert run["state"] == "waiting"


def test_a_program_is_never_asked(stretto: Command, project: Path) -> None:
    stretto("run", "ask.yaml", "--run-id", "q1")
    with terminal(project, "runs", "resume", "q1", "--json") as program:
        assert program.end() == 2
        assert "waits for an answer to ok; give one" in program.seen
