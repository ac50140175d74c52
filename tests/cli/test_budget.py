"""A spent budget on the command line: the question, the answers it names, and going on."""

import json
from pathlib import Path

from stretto.cli.board import Board
from stretto.events import RunEvent
from tests.cli.conftest import Command

AGENTS = """
from stretto.agents.llm import LLMAgent
writer = LLMAgent("writer", "Sum up: {{text}}", "offline")
"""
FLOW = """
name: b
budget: {model_calls: 1}
steps:
  - {id: one, agent: writer, params: {text: "Sales rose."}}
  - {id: two, agent: writer, params: {text: "Costs fell."}, depends_on: [one]}
"""


def test_the_question_names_answers_that_work(stretto: Command, project: Path) -> None:
    (project / "writers.py").write_text(AGENTS)
    (project / "b.yaml").write_text(FLOW)
    waiting = stretto("run", "b.yaml", "--agents", "writers.py")
    assert waiting.returncode == 3
    assert "The run has used its budget of 1 model_calls" in waiting.stderr
    (told,) = [
        line for line in waiting.stderr.splitlines() if "model_calls" in line and "--" in line
    ]
    run_id = told.split()[3]
    assert """--answer '{"model_calls": 2}'""" in told
    refused = stretto("runs", "resume", run_id, "--answer", "more", "--agents", "writers.py")
    assert (refused.returncode, "raises no budget" in refused.stderr) == (2, True)
    answer = json.dumps({"model_calls": 2})
    ended = stretto("runs", "resume", run_id, "--answer", answer, "--agents", "writers.py")
    assert (ended.returncode, "Costs fell." in ended.stdout) == (0, True)


def test_a_warning_does_not_end_what_is_shown() -> None:
    board = Board({"a": "writer"})
    board.take(RunEvent("workflow_started", "r", 1, 1.0, None, {}))
    board.take(RunEvent("agent_started", "r", 2, 1.0, "a", {"agent": "writer"}))
    board.take(RunEvent("budget_warning", "r", 3, 2.0, None, {"limit": "usd"}))
    assert board.ended is None


def test_what_is_streamed_before_a_reset_is_dropped() -> None:
    board = Board({"a": "writer"})
    facts = {"agent": "writer", "stream": "answer"}
    said = [{"content": "Wro"}, {"content": "", "kind": "reset"}, {"content": "Right"}]
    for seq, data in enumerate(said):
        board.take(RunEvent("agent_stream", "r", seq, 1.0, "a", {**facts, **data}))
    assert board.answer == "Right"
