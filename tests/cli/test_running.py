"""`stretto run`: exit codes, the forms of stdout, questions, interruptions."""

import json
import shlex
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., "subprocess.Popen[str]"]


def lines_until(process: "subprocess.Popen[str]", *parts: str) -> list[str]:
    """Read lines up to the first that has all parts."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if all(part in line for part in parts):
            return lines
    raise AssertionError(f"it ended before {parts}: {lines}")


def after_stretto(message: str) -> list[str]:
    """Take the command out of a message that ends in one."""
    command = next(line for line in message.splitlines() if "stretto runs" in line)
    return shlex.split(command[command.index("stretto runs") :])[1:]


def test_a_pipe_gets_a_line_per_event_then_the_output(stretto: Command) -> None:
    done = stretto("run", "tell.yaml", "-i", "title=42", "-i", "count=3", "--run-id", "r1")
    assert (done.returncode, done.stderr) == (0, "agents are loaded\nprinted by an agent\n")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:6]] == [
        ["workflow_started", "-"],
        ["agent_started", "first"],
        ["agent_completed", "first"],
        ["agent_started", "told"],
        ["agent_completed", "told"],
        ["workflow_completed", "-"],
    ]
    assert "agent=teller" in lines[3]
    assert "run=r1" in lines[0]
    output = json.loads("\n".join(lines[6:]))
    # The title is declared as text, so 42 stays text; the count is a number.
    told = "One [bold]two[/bold] \x1b[31mthree"
    assert output == {"title": "42", "count": 3, "told": told}


def test_json_is_exactly_one_document_whatever_agents_print(stretto: Command) -> None:
    done = stretto("run", "tell.yaml", "--input", "-", "--json", stdin='{"title": "x"}')
    result: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0
    assert (result["status"], result["success"], result["workflow"]) == ("completed", True, "tell")
    assert result["output"]["title"] == "x"
    assert set(result) == {
        "run_id", "workflow", "version", "success", "status", "output", "outputs", "errors",
        "interrupts", "duration_seconds", "usage",
    }  # fmt: skip


def test_events_are_one_json_line_each_with_the_streamed_text(stretto: Command) -> None:
    done = stretto("run", "tell.yaml", "-i", "title=x", "--events")
    events: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["event"] == "workflow_started"
    assert events[-1]["event"] == "workflow_completed"
    streamed = [e["data"]["content"] for e in events if e["event"] == "agent_stream"]
    assert streamed == ["One ", "[bold]two[/bold] ", "\x1b[31mthree"]


def test_a_failed_run_ends_with_1_and_one_message_and_can_be_retried(
    stretto: Command, project: Path
) -> None:
    done = stretto("run", "break.yaml", "--json")
    result = json.loads(done.stdout)
    run_id = result["run_id"]
    assert (done.returncode, result["status"]) == (1, "failed")
    assert result["errors"] == [
        {"step": "weak", "code": "broken", "message": "it is [red]broken[/red]", "attempts": 1}
    ]
    message = f"error: run {run_id} of 'break' failed: step 'weak': it is [red]broken[/red]"
    assert message in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert after_stretto(done.stderr) == ["runs", "retry", run_id]
    (project / "fixed").touch()
    again = stretto(*after_stretto(done.stderr), "--json")
    assert (again.returncode, json.loads(again.stdout)["output"]) == (0, "fixed")


def test_a_question_ends_with_3_and_the_printed_command_answers_it(stretto: Command) -> None:
    done = stretto("run", "ask.yaml", "--home", "kept", "--run-id", "q1")
    assert done.returncode == 3
    assert "step 'ok' asks: Publish a [b]draft[/b]? (approve | reject)" in done.stderr
    wrong = stretto("runs", "resume", "q1", "--home", "kept", "--answer", "perhaps")
    assert wrong.returncode == 2
    assert "'perhaps' is no answer to 'ok'; choose approve, reject" in wrong.stderr
    command = after_stretto(done.stderr)
    assert command == ["runs", "resume", "q1", "--answer", "approve", "--home", "kept"]
    answered = stretto(*command, "--json")
    assert (answered.returncode, json.loads(answered.stdout)["output"]) == (
        0,
        {"choice": "approve"},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_and_resuming_gives_the_same_result(
    number: signal.Signals, started: Started, stretto: Command, project: Path
) -> None:
    process = started("run", "hold.yaml", "--events")
    lines_until(process, '"agent_started"', '"held"')
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["event"] == "workflow_cancelled"
    assert "Traceback" not in err
    (project / "go").touch()
    resumed = stretto(*after_stretto(err), "--events")
    events = [json.loads(line) for line in resumed.stdout.splitlines()]
    assert resumed.returncode == 0
    # The step that had finished is not run again.
    assert [e["step"] for e in events if e["event"] == "agent_started"] == ["held", "last"]
    assert events[-1]["data"]["final_output"]["output"] == {"text": "after held"}


STUBBORN = """
import asyncio
from stretto import agent

@agent
async def stubborn(task):
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""


def test_a_second_signal_ends_the_process_though_an_agent_will_not_stop(
    started: Started, project: Path
) -> None:
    (project / "stubborn.py").write_text(STUBBORN)
    (project / "stubborn.yaml").write_text("name: s\nsteps: [{id: a, agent: stubborn}]\n")
    process = started("run", "stubborn.yaml", "--agents", "stubborn.py", "--events")
    lines_until(process, '"agent_started"', '"stubborn"')
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


UNENDING = """
import asyncio, time
from stretto import agent

async def for_ever():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

@agent
async def stubborn(task):
    await for_ever()

@agent
async def careless(task):
    asyncio.get_running_loop().created = asyncio.create_task(for_ever())
    return "done"

@agent
async def threaded(task):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    return "done"
"""


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("stubborn", 1, "the run's time is used up"),
        ("careless", 0, "did not end within"),
        ("threaded", 0, "did not end within"),
    ],
)
def test_a_command_ends_though_something_that_an_agent_began_does_not(
    name: str, code: int, told: str, stretto: Command, project: Path
) -> None:
    (project / "unending.py").write_text(UNENDING)
    flow = f"name: u\ntimeout: 3s\nsteps: [{{id: a, agent: {name}}}]\n"
    (project / "unending.yaml").write_text(flow)
    done = stretto("run", "unending.yaml", "--agents", "unending.py", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["success"]) == (code, not code)
    assert told in done.stderr
    assert "this process ends without it" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_model_named_on_the_command_line_goes_by_its_settings(
    stretto: Command, project: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        (project / "stretto.toml").write_text(
            f'[stretto.models."openai:tiny-1"]\napi_key = "key-1"\nbase_url = "{url}"\n',
            encoding="utf-8",
        )
        words = ("account_analysis", "-i", "account_id=ACC-1188", "--model", "openai:tiny-1")
        refused = stretto("run", *words, NO_PROXY="*")
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 2)
    assert f"the model endpoint {url} cannot be reached" in refused.stderr


@pytest.mark.parametrize("model", ["bogus:x", "openai:tiny-1", "offline:fast"])
def test_a_model_that_cannot_be_opened_is_bad_usage(
    stretto: Command, project: Path, model: str
) -> None:
    refused = stretto("run", "hold.yaml", "--model", model, "--home", "kept")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[-1].startswith("error: ")
    assert stretto("runs", "list", "--home", "kept", "--json").stdout.strip() in ("", "[]")


def test_a_reader_that_leaves_ends_the_command_quietly(started: Started, project: Path) -> None:
    process = started("run", "hold.yaml")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("workflow_started")
    process.stdout.close()
    (project / "go").touch()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=30) == 141
    assert err.replace("printed by an agent\n", "") == "agents are loaded\n"


def test_the_same_run_id_starts_once(stretto: Command) -> None:
    first = stretto("run", "tell.yaml", "-i", "title=x", "--run-id", "mine", "--json")
    again = stretto("run", "tell.yaml", "-i", "title=x", "--run-id", "mine", "--json")
    assert json.loads(first.stdout)["output"] == json.loads(again.stdout)["output"]
    assert "printed by an agent" not in again.stderr
    other = stretto("run", "tell.yaml", "-i", "title=y", "--run-id", "mine", "--json")
    assert (other.returncode, other.stdout) == (2, "")
    assert "there is a run 'mine' of another workflow or input" in other.stderr


def test_a_shipped_workflow_runs_by_name_without_the_agents_of_the_folder(
    stretto: Command,
) -> None:
    done = stretto("run", "account_analysis", "-i", "account_id=ACC-1001", "--json")
    output = json.loads(done.stdout)["output"]
    assert (done.returncode, done.stderr) == (0, "")
    assert (output["account"], output["level"]) == ("Juniper Medical", "medium")
    assert len(output["recommendations"]) == 3


def test_a_traceback_is_only_shown_with_debug(stretto: Command) -> None:
    plain = stretto("run", "nothing.yaml")
    debug = stretto("run", "nothing.yaml", "--debug")
    assert (plain.returncode, debug.returncode) == (2, 2)
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
