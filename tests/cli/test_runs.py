"""`stretto runs`: listed, shown, followed, cancelled, resumed."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]
Started = Callable[..., "subprocess.Popen[str]"]


def test_a_run_can_be_listed_shown_and_read_by_the_beginning_of_its_id(stretto: Command) -> None:
    stretto("run", "tell.yaml", "-i", "title=x", "--run-id", "aa1")
    stretto("run", "break.yaml", "--run-id", "ab2")
    rows = [line.split("\t")[:4] for line in stretto("runs").stdout.splitlines()]
    assert rows == [["ab2", "break", "1.0.0", "failed"], ["aa1", "tell", "1.0.0", "completed"]]
    failed = json.loads(stretto("runs", "list", "--state", "failed", "--json").stdout)
    assert [(run["run_id"], run["error"]["code"]) for run in failed] == [("ab2", "broken")]
    whole = json.loads(stretto("runs", "show", "aa", "--json").stdout)
    assert whole["run"]["input"] == {"title": "x", "count": 1}
    assert [step["state"] for step in whole["status"]["steps"]] == ["completed", "completed"]
    assert whole["result"]["output"]["title"] == "x"
    shown = stretto("runs", "show", "ab")
    assert "run ab2  failed" in shown.stdout
    assert "step 'weak': it is [red]broken[/red]" in shown.stderr
    events = stretto("runs", "events", "ab", "--after", "2").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in events] == list(range(3, 3 + len(events)))
    logs = stretto("runs", "logs", "ab").stdout
    assert "ERROR   weak failed" in logs
    several = stretto("runs", "show", "a")
    assert several.returncode == 2
    assert "2 runs begin with 'a'" in several.stderr


def test_runs_can_be_asked_for_where_nothing_ever_ran(stretto: Command, project: Path) -> None:
    listed, shown = stretto("runs", "list"), stretto("runs", "show", "x")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "no runs\n")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "there are no runs in .stretto" in shown.stderr
    assert not (project / ".stretto").exists()


def test_a_run_of_another_process_can_be_followed_and_cancelled(
    started: Started, stretto: Command, project: Path
) -> None:
    process = started("run", "hold.yaml", "--run-id", "h1", "--events")
    assert process.stdout is not None
    next(line for line in process.stdout if '"agent_started"' in line and '"held"' in line)
    follower = started("runs", "events", "h1", "--follow")
    assert follower.stdout is not None
    assert json.loads(follower.stdout.readline())["event"] == "workflow_started"
    busy = stretto("runs", "resume", "h1")
    assert (busy.returncode, busy.stdout) == (2, "")
    cancelled = stretto("runs", "cancel", "h1")
    assert (cancelled.returncode, cancelled.stderr) == (0, "cancelled h1\n")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stretto runs resume h1" in err
    out, _ = follower.communicate(timeout=30)
    assert follower.returncode == 0
    assert json.loads(out.splitlines()[-1])["event"] == "workflow_cancelled"
    assert stretto("runs", "cancel", "h1").returncode == 2
    (project / "go").touch()
    resumed = stretto("runs", "resume", "h1", "--json")
    assert json.loads(resumed.stdout)["output"] == {"text": "after held"}


def test_a_completed_run_is_retried_from_a_step(stretto: Command) -> None:
    stretto("run", "tell.yaml", "-i", "title=x", "--run-id", "t1")
    refused = stretto("runs", "retry", "t1")
    assert refused.returncode == 2
    again = stretto("runs", "retry", "t1", "--from", "told", "--events")
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert [e["step"] for e in events if e["event"] == "agent_started"] == ["told"]
    assert (again.returncode, events[-1]["event"]) == (0, "workflow_completed")


def test_what_ran_because_a_run_failed_is_shown(stretto: Command, project: Path) -> None:
    (project / "tell_it.yaml").write_text(
        "name: tell_it\nsteps: [{id: weak, agent: picky}]\non_failure: [{id: tell, agent: echo}]\n"
    )
    stretto("run", "tell_it.yaml", "--run-id", "o1")
    (row,) = [line for line in stretto("runs", "show", "o1").stdout.splitlines() if "on_f" in line]
    assert row.split()[0] == "✓"
    status = json.loads(stretto("runs", "show", "o1", "--json").stdout)["status"]
    states = {step["id"]: step["state"] for step in status["steps"]}
    assert states == {"weak": "failed", "on_failure": "completed"}


def test_an_output_that_could_not_be_saved_is_told(stretto: Command, project: Path) -> None:
    (project / "save.yaml").write_text(
        'name: save\nsteps: [{id: a, agent: echo}]\nsave_output: "${input.to}"\n'
    )
    told = "save_output: the output was not saved: '../x.json' is no file below the output folder"
    done = stretto("run", "save.yaml", "-i", "to=../x.json", "--run-id", "s1")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, f"warning: {told}")
    shown = stretto("runs", "show", "s1")
    assert (shown.returncode, shown.stderr) == (0, f"warning: {told}\n")
    (line,) = stretto("runs", "logs", "s1").stdout.splitlines()[-1:]
    assert line.endswith(f"WARNING - completed: {told.partition(': ')[2]}")
