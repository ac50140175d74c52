"""What a person sees: on a pseudo terminal, and drawn from events."""

import os
import pty
import re
import subprocess
import time
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from stretto.cli.board import Board
from stretto.cli.lines import event_line
from stretto.cli.live import Canvas, duration, fit
from stretto.cli.readable import readable
from stretto.cli.terminal import clean
from stretto.events import EventType, RunEvent

COLOUR = re.compile(r"\x1b\[(?:3|4|9|10)\d")


def on_terminal(folder: Path, *words: str, **extra: str) -> tuple[int, str]:
    """Run the command on a pseudo terminal and give its exit code and what it wrote."""
    import sys

    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "90"}
    process = subprocess.Popen(
        [sys.executable, "-m", "stretto", *words],
        cwd=folder,
        env={**environment, "LINES": "40", "LANG": "C.UTF-8", **extra},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # Linux reports the end of a terminal as an error
        pass
    os.close(ours)
    return process.wait(timeout=30), seen.decode("utf-8")


def test_a_terminal_shows_steps_and_output_and_interprets_nothing(project: Path) -> None:
    code, seen = on_terminal(project, "run", "tell.yaml", "-i", "title=[red]hot[/red] :smile:")
    assert code == 0
    assert "✓" in seen
    assert "2/2 steps" in seen
    assert "[red]hot[/red] :smile:" in seen
    assert "One [bold]two[/bold] [31mthree" in seen  # its escape character is gone
    assert "completed in" in seen
    assert COLOUR.search(seen)


def test_no_color_is_respected(project: Path) -> None:
    code, seen = on_terminal(project, "run", "tell.yaml", "-i", "title=x", NO_COLOR="1")
    assert (code, COLOUR.search(seen)) == (0, None)
    assert "✓" in seen


class Story:
    """Events of one run, a second apart."""

    def __init__(self) -> None:
        self.events: list[RunEvent] = []
        self.begun = float(int(time.time()) - 1000)

    def tell(self, event: str, step: str | None = None, **data: Any) -> None:
        seq = len(self.events) + 1
        at = self.begun + seq
        self.events.append(RunEvent(cast(EventType, event), "r", seq, at, step, data))

    def board(self, *steps: str) -> Board:
        board = Board(dict.fromkeys(steps, "someone"))
        for event in self.events:
            board.take(event)
        return board


def looping() -> Story:
    story = Story()
    story.tell("workflow_started")
    story.tell("agent_started", "refine", attempt=1)
    for number in (1, 2, 10):
        story.tell("agent_started", f"refine#{number}/draft", agent="writer", attempt=1)
        story.tell("agent_completed", f"refine#{number}/draft", agent="writer", duration=0.5)
    story.tell("agent_started", "each", attempt=1)
    story.tell("agent_started", "each[1]", attempt=1)
    story.tell("agent_started", "each[0]", attempt=1)
    story.tell("agent_started", "each[0]/check", attempt=1)
    return story


def test_steps_inside_containers_stand_below_them_in_order() -> None:
    rows = looping().board("plan", "refine", "each", "last").rows()
    assert [(row.name, row.depth) for row in rows] == [
        ("plan", 0),
        ("refine", 0),
        ("draft (round 1)", 1),
        ("draft (round 2)", 1),
        ("draft (round 10)", 1),
        ("each", 0),
        ("[0]", 1),
        ("check", 2),
        ("[1]", 1),
        ("last", 0),
    ]


def test_when_rows_do_not_fit_finished_inner_steps_go_first() -> None:
    rows = looping().board("plan", "refine", "each", "last").rows()
    assert [row.name for row in fit(rows, 7)] == [
        "plan", "refine", "each", "[0]", "check", "[1]", "last",
    ]  # fmt: skip
    assert [row.name for row in fit(rows, 4)] == ["refine", "each", "[0]", "check"]
    assert fit(rows, 50) == rows


def test_a_board_tells_of_retries_failures_and_progress() -> None:
    story = Story()
    story.tell("workflow_started")
    story.tell("agent_started", "a", agent="x", attempt=1)
    story.tell("agent_retry", "a", attempt=1, error_message="busy", delay=2)
    story.tell("agent_started", "a", agent="x", attempt=2)
    story.tell("agent_stream", "a", content="thinking", stream="progress")
    running = story.board("a", "b").rows()[0]
    assert (running.status.state, running.status.attempts, running.tail) == (
        "running",
        2,
        "thinking",
    )
    story.tell("agent_error", "a", attempt=2, error_message="no luck", code="x")
    story.tell("agent_skipped", "b", state="not_run", reason="'a' failed")
    story.tell("workflow_failed")
    board = story.board("a", "b")
    assert [(r.status.state, r.note) for r in board.rows()] == [
        ("failed", "no luck"),
        ("not_run", "'a' failed"),
    ]
    assert (board.settled, board.total, board.seconds()) == (1, 2, 7.0)


def test_an_answer_begins_anew_with_another_attempt() -> None:
    story = Story()
    story.tell("workflow_started")
    story.tell("agent_started", "a", attempt=1)
    story.tell("agent_stream", "a", content="half an ans", stream="answer")
    assert story.board("a").answer == "half an ans"
    story.tell("agent_retry", "a", attempt=1, error_message="cut", delay=1)
    assert story.board("a").answer == ""


def drawn(thing: Any, width: int = 80) -> str:
    console = Console(width=width, markup=False, emoji=False, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_drawing_keeps_to_the_width_and_height_of_the_terminal(width: int) -> None:
    story = looping()
    for _ in range(30):
        story.tell("agent_stream", "last", content="some words and more ", stream="answer")
    board = story.board("plan", "refine", "each", "last")
    lines = drawn(Canvas(width, 16).draw("t", board), width).splitlines()
    assert len(lines) <= 16
    assert max(map(len, lines)) <= width
    assert any("some words" in line for line in lines)


def test_a_terminal_without_unicode_gets_plain_symbols() -> None:
    text = drawn(Canvas(80, 24, unicode=False).draw("t", looping().board("refine", "each", "x")))
    assert re.search(r"^> {2}refine", text, re.MULTILINE)
    assert "✓" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.001, "0.00 s"), (9.99, "9.99 s"), (9.999, "10.0 s"), (99.9, "99.9 s")]
    + [(99.96, "1 min 40 s"), (3599, "59 min 59 s"), (3660, "1 h 1 min")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_outputs_are_laid_out_and_lists_of_records_are_numbered() -> None:
    text = drawn(
        readable(
            {
                "score": 0.5,
                "steps": [{"action": "Call [b]them[/b]", "owner": "Ann", "tags": ["a", "b"]}],
                "account": {"name": "Juniper", "seats": 5},
                "text": "## Title\n\n- one",
            }
        )
    )
    assert "Score  0.5" in text
    assert " 1. Call [b]them[/b]" in text
    assert "owner: Ann  ·  tags: a, b" in text
    assert re.search(r"Seats +5", text)
    assert "Title" in text
    assert "## Title" not in text


def test_event_lines_quote_what_has_spaces_and_hide_control_characters() -> None:
    event = RunEvent("agent_error", "r", 3, 5.0, "a", {"step": "a", "error_message": "b \x1b[1m=c"})
    assert event_line(event, 1.5) == 'agent_error a error_message="b \\u001b[1m=c" t=1.500'


def test_clean_takes_out_what_steers_a_terminal() -> None:
    assert clean("a\x1b[2J\x07b\r\nc\td\u202ee\x9bf") == "a[2Jb\nc\tdef"


def test_a_step_without_memory_says_so_to_the_end() -> None:
    story = Story()
    story.tell("agent_started", "a", agent="x", attempt=1)
    story.tell("memory_degraded", "a", agent="x", attempt=1, reason="somebody has it")
    story.tell("agent_completed", "a", agent="x", attempt=1, duration=0.5)
    board = story.board("a")
    (row,) = board.rows()
    assert (row.note, row.status.state) == ("without memory", "completed")
    assert board.degraded == {"a": "somebody has it"}
