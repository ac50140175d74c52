"""A question asked at the terminal: what it is about, the choice, a changed value, a comment."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stretto.cli.guard import say
from stretto.cli.report import asked_text, shown_value
from stretto.cli.terminal import is_terminal
from stretto.cli.values import json_or_text, record


def can_ask() -> bool:
    """Tell whether a person sits at the terminal who can be asked."""
    return sys.stdin.isatty() and is_terminal(sys.stderr)


def ask(questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Ask a person what a run waits for.

    Args:
        questions: what the run waits for, as a result lists it.

    Returns:
        Answers by question id; those that the person leaves open are not there.

    """
    answers: dict[str, Any] = {}
    for question in questions:
        say(asked_text(question))
        if text := shown_value(question):
            say(text)
        answer = _answer(record(question["value"]))
        if answer is not None:
            answers[question["id"]] = answer
    return answers


def _answer(question: Mapping[str, Any]) -> Any:
    options = [str(option) for option in question.get("options") or ()]
    if not options:
        text = _line("answer, as JSON or text (Enter leaves it open): ")
        return json_or_text(text) if text else None
    while True:
        answer = _decided(question, options)
        if answer is None or (problem := _refusal(answer, question)) is None:
            return answer
        say(problem)


def _refusal(answer: Any, question: Mapping[str, Any]) -> str | None:
    from stretto.graphs.asking import refusal

    return refusal(answer, question)


def _decided(question: Mapping[str, Any], options: Sequence[str]) -> dict[str, Any] | None:
    choice = _choice(options)
    if choice is None:
        return None
    answer: dict[str, Any] = {"choice": choice}
    if "edit" in question and _line("change the value? [y/N] ").lower() in ("y", "yes"):
        answer["edited"] = _edited(question["edit"])
    needed = question.get("comment") == "required"
    comment = _line("comment: " if needed else "comment (Enter for none): ")
    if comment:
        answer["comment"] = comment
    return answer


def _choice(options: Sequence[str]) -> str | None:
    while text := _line(f"{' | '.join(options)} (Enter leaves it open): "):
        if text in options:
            return text
        say(f"choose {', '.join(options)}")
    return None


def _edited(value: Any) -> Any:
    """Let the person change a value in their editor: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return _in_editor(value, ".txt").removesuffix("\n")
    text = json.dumps(value, ensure_ascii=False, indent=2)
    while True:
        text = _in_editor(text, ".json")
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            say(f"that is no JSON: {error}")
            if _line("open the editor again? [Y/n] ").lower() in ("n", "no"):
                return value


def _in_editor(text: str, ending: str) -> str:
    """Open a text in the person's editor and give what it is afterwards."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"value{ending}"
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
            return file.read_text(encoding="utf-8")
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            say(f"the editor '{editor}' did not work: {error}; set EDITOR")
            return text


def _line(prompt: str) -> str:
    """Read one line; nothing when the terminal is closed."""
    print(prompt, end="", file=sys.stderr, flush=True)
    try:
        return input().strip()
    except EOFError:
        return ""
