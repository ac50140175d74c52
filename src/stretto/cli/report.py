"""How a run is told of once it has ended: its output, what went wrong, what it asks, what to do."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.text import Text

from stretto.cli.guard import DONE, FAILED, INTERRUPTED, WAITING, say
from stretto.cli.live import duration
from stretto.cli.readable import readable
from stretto.cli.terminal import as_json, console_on, is_terminal, write
from stretto.cli.values import record

if TYPE_CHECKING:
    from stretto.engine.result import RunResult

Shape = Literal["people", "json", "events"]
"""Who reads stdout: people, or programs in one of two forms."""
_CODES = {"completed": DONE, "failed": FAILED, "cancelled": INTERRUPTED, "waiting": WAITING}


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands that go on with a run, with the options that this one was given."""

    home: str | None = None
    agents: Sequence[str] = ()

    def resume(self, run_id: str, answer: str | None = None) -> str:
        """Give the command that resumes a run."""
        return self._line("resume", run_id, [] if answer is None else ["--answer", answer])

    def retry(self, run_id: str) -> str:
        """Give the command that retries a run."""
        return self._line("retry", run_id, [])

    def _line(self, verb: str, run_id: str, more: list[str]) -> str:
        words = ["stretto", "runs", verb, run_id, *more]
        for name in self.agents:
            words += ["--agents", name]
        return shlex.join(words + (["--home", self.home] if self.home else []))


def report(result: "RunResult", stream: TextIO, shape: Shape, commands: Commands) -> int:
    """Tell how a run ended: data on ``stream``, messages on stderr.

    Returns:
        The exit code.

    """
    if shape == "json":
        write(stream, as_json(result.to_dict(), stream))
    elif shape == "people" and result.success:
        show_output(result.output, stream)
    if shape == "people" and is_terminal(sys.stderr) and is_terminal(stream):
        _show_ending(result)
    if result.status == "failed":
        say(failure(result, commands))
    elif result.status == "waiting":
        say(question(result, commands))
    elif result.status == "completed":
        warn(result)
    elif result.status == "cancelled":
        say(f"cancelled; what has finished is kept, go on with: {commands.resume(result.run_id)}")
    return _CODES[result.status]


def warn(result: "RunResult") -> None:
    """Say on stderr what went wrong in a completed run that is the matter of none of its steps."""
    from stretto.engine.ending import OF_THE_RUN

    for error in result.errors:
        if error.step in OF_THE_RUN:
            say(f"warning: {error.step}: {error.message}")


def show_output(output: Any, stream: TextIO) -> None:
    """Show an output: laid out for people on a terminal; as text or JSON in a pipe."""
    if output is None:
        return
    if is_terminal(stream):
        console = console_on(stream)
        console.print()
        console.print(readable(output))
    else:
        write(stream, output if isinstance(output, str) else as_json(output, stream, indent=2))


def _show_ending(result: "RunResult") -> None:
    parts = [f"{result.status} in {duration(result.duration_seconds)}"]
    if calls := int(result.usage.get("calls", 0)):
        tokens = int(result.usage.get("tokens", 0))
        parts.append(f"{calls} model call{'s' if calls > 1 else ''}, {tokens:,} tokens")
    if usd := result.usage.get("usd"):
        parts.append(f"${usd:.4f}")
    parts.append(f"run {result.run_id}")
    style = {"completed": "green", "failed": "red"}.get(result.status, "yellow")
    console = console_on(sys.stderr)
    console.print()
    console.print(Text("  ".join(parts), style), soft_wrap=True)


def failure(result: "RunResult", commands: Commands) -> str:
    """Say why a run failed and how to try again."""
    lines = [f"error: run {result.run_id} of '{result.workflow}' failed"]
    for error in result.errors:
        step = f"step '{error.step}': " if error.step else ""
        tries = f" (after {error.attempts} attempts)" if error.attempts > 1 else ""
        lines.append(f"  {step}{error.message}{tries}")
    if len(lines) == 2:
        lines = [f"{lines[0]}: {lines[1].strip()}"]
    return "\n".join([*lines, f"run what failed again with: {commands.retry(result.run_id)}"])


def question(result: "RunResult", commands: Commands) -> str:
    """Say what a run asks, and with which command to answer."""
    lines: list[str] = []
    for asked in result.interrupts:
        lines += [asked_text(asked), shown_value(asked)]
    lines.append("answer with:")
    lines += [f"  {line}" for line in _answers(result, commands)]
    lines.append(f"or at a terminal, where you are asked: {commands.resume(result.run_id)}")
    return "\n".join(line for line in lines if line)


def asked_text(asked: Mapping[str, Any]) -> str:
    """Say in a line what a step asks."""
    value, name = asked["value"], asked.get("step") or asked["id"]
    question = record(value)
    if "message" not in question:
        text = value if isinstance(value, str) else as_json(value, sys.stderr)
        return f"step '{name}' asks: {text}"
    options = question.get("options")
    choice = f" ({' | '.join(map(str, options))})" if options else ""
    return f"step '{name}' asks: {question['message']}{choice}"


def shown_value(asked: Mapping[str, Any]) -> str:
    """Show the value that may be changed, indented; nothing if there is none."""
    question = record(asked["value"])
    if "edit" not in question:
        return ""
    value = question["edit"]
    text = value if isinstance(value, str) else as_json(value, sys.stderr, indent=2)
    return indent(text, "    ")


def _answers(result: "RunResult", commands: Commands) -> list[str]:
    questions = result.interrupts
    if len(questions) > 1:
        first = {str(q.get("step") or q["id"]): _examples(q)[0] for q in questions}
        return [commands.resume(result.run_id, as_json(first, sys.stderr))]
    examples = [example for q in questions for example in _examples(q)]
    return [commands.resume(result.run_id, _written(example)) for example in examples]


def _written(answer: Any) -> str:
    return answer if isinstance(answer, str) else as_json(answer, sys.stderr)


def _examples(asked: Mapping[str, Any]) -> list[Any]:
    """Give answers that would be taken, one for each option, and one with a changed value."""
    question = record(asked["value"])
    if budget := record(question.get("budget")):
        return [{name: limit * 2 for name, limit in budget.items()}, "stop"]
    options = [str(option) for option in question.get("options") or ()]
    if not options:
        return ["ANSWER"]
    said = {"comment": "WHY"} if question.get("comment") == "required" else {}
    examples: list[Any] = [{"choice": o, **said} if said else o for o in options]
    if "edit" in question:
        examples.append({"choice": options[0], "edited": "NEW VALUE", **said})
    return examples
