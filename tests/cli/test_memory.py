"""`stretto memory` in processes of its own, on the embedded engine."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_display import on_terminal
from tests.fakes.holding import held
from tests.fakes.qdrant_server import qdrant_server

Command = Callable[..., subprocess.CompletedProcess[str]]


def lines_of(done: "subprocess.CompletedProcess[str]") -> list[list[str]]:
    """Give the rows of a table that was written into a pipe."""
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("\t") for line in done.stdout.splitlines()]


def remember(stretto: Command, text: str, *more: str) -> str:
    done = stretto("memory", "remember", text, *more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_what_is_remembered_is_recalled(stretto: Command) -> None:
    item = remember(stretto, "The renewal of ACC-7\nis due in May.", "--at", "2026-03-01")
    remember(stretto, "Ann likes tea.")
    rows = lines_of(stretto("memory", "recall", "renewal"))
    assert [row[:3] for row in rows] == [[item, "2026-03-01", "fact"]]
    assert 0 < float(rows[0][3]) <= 1
    assert rows[0][4] == "The renewal of ACC-7 is due in May."


def test_options_narrow_what_is_recalled(stretto: Command) -> None:
    remember(stretto, "Ann likes tea.", "--tenant", "acme", "--user", "ann")
    remember(stretto, "Bob likes tea.", "--user", "bob", "--kind", "procedure", "--subject", "B")
    for options, texts in (
        ((), ["Ann likes tea.", "Bob likes tea."]),
        (("--user", "ann"), ["Ann likes tea."]),
        (("--tenant", "other"), []),
        (("--kind", "procedure"), ["Bob likes tea."]),
        (("--subject", "B"), ["Bob likes tea."]),
        (("-k", "1"), None),
        (("--until", "2020-01-01"), []),
    ):
        done = stretto("memory", "recall", "likes tea", *options)
        assert done.returncode == 0
        found = [line.split("\t")[4] for line in done.stdout.splitlines()]
        assert len(found) == 1 if texts is None else sorted(found) == texts


def test_json_has_everything_and_explain_tells_how_scores_came_about(stretto: Command) -> None:
    item = remember(stretto, "Ann likes tea.", "--key", "ann.drink", "--importance", "0.9")
    plain: dict[str, Any] = json.loads(stretto("memory", "recall", "tea", "--json").stdout)
    assert plain["found"] == 1
    assert (plain["items"][0]["id"], plain["items"][0]["key"]) == (item, "ann.drink")
    assert "why" not in plain["items"][0]
    told = json.loads(stretto("memory", "recall", "tea", "--json", "--explain").stdout)
    assert told["items"][0]["why"]
    (row,) = lines_of(stretto("memory", "recall", "tea", "--explain"))
    assert len(row) == 6


def test_nothing_known_is_said_and_makes_no_folder(stretto: Command, project: Path) -> None:
    done = stretto("memory", "recall", "tea")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing is known about that\n"
    assert json.loads(stretto("memory", "recall", "tea", "--json").stdout)["items"] == []
    assert stretto("memory", "stats").returncode == 0
    assert not (project / ".stretto").exists()


def test_an_item_is_superseded_pinned_and_forgotten_by_the_beginning_of_its_id(
    stretto: Command,
) -> None:
    item = remember(stretto, "Ann lives in Rome.")
    newer = stretto("memory", "supersede", item[:8], "Ann lives in Oslo.").stdout.strip()
    assert [row[4] for row in lines_of(stretto("memory", "recall", "where Ann lives"))] == [
        "Ann lives in Oslo."
    ]
    assert stretto("memory", "pin", newer[:8]).stdout.strip() == newer
    receipt = json.loads(stretto("memory", "forget", newer[:8], item[:8]).stdout)
    assert (receipt["count"], receipt["purged"]) == (2, False)
    assert stretto("memory", "recall", "Ann").stdout == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pin", "abc"), "at least 4 characters"),
        (("pin", "00000000"), "no memory has the id '00000000'"),
        (("forget",), "say what to forget"),
        (("remember",), "give a text, or --run"),
        (("remember", "x", "--run", "r"), "give a text, or --run"),
        (("remember", "--run", "r", "--user", "ann"), "give --run alone"),
        (("remember", "x", "--at", "soon"), "'soon' is no date"),
        (("remember", "--run", "none"), "no run"),
        (("import", "missing.jsonl"), "cannot read missing.jsonl"),
        (("export", "missing/x.jsonl"), "cannot write missing/x.jsonl"),
    ],
)
def test_what_is_wrong_ends_in_one_message_and_2(
    stretto: Command, words: tuple[str, ...], told: str
) -> None:
    remember(stretto, "Ann likes tea.")
    done = stretto("memory", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def files_with(folder: Path, text: bytes) -> list[Path]:
    return [f for f in folder.rglob("*") if f.is_file() and text in f.read_bytes()]


def test_purge_asks_and_leaves_no_byte(stretto: Command, project: Path) -> None:
    remember(stretto, "Ann likes darjeeling.", "--subject", "ann")
    remember(stretto, "Bob likes coffee.")
    purge = ("memory", "forget", "--subject", "ann", "--purge")
    refused = stretto(*purge, stdin="n\n")
    assert (refused.returncode, "nothing was forgotten" in refused.stderr) == (1, True)
    nobody = stretto(*purge)
    assert (nobody.returncode, "--yes" in nobody.stderr) == (2, True)
    assert files_with(project / ".stretto", b"darjeeling")
    done = stretto(*purge, stdin="y\n")
    receipt = json.loads(done.stdout)
    assert (done.returncode, receipt["count"], receipt["purged"]) == (0, 1, True)
    assert files_with(project / ".stretto", b"darjeeling") == []
    assert len(lines_of(stretto("memory", "recall", "coffee"))) == 1


def test_what_is_exported_can_be_imported_elsewhere(stretto: Command, project: Path) -> None:
    remember(stretto, "Ann likes tea.", "--user", "ann")
    remember(stretto, "Bob likes coffee.", "--user", "bob")
    assert "2 memories" in stretto("memory", "export", "all.jsonl").stderr
    lines = stretto("memory", "export", "--user", "ann").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["Ann likes tea."]
    elsewhere = ("--home", str(project / "other"))
    done = stretto("memory", "import", "all.jsonl", *elsewhere)
    assert (done.returncode, done.stderr) == (0, "2 memories added\n")
    assert len(lines_of(stretto("memory", "recall", "tea", *elsewhere))) == 1


def test_a_text_with_line_ends_of_unicode_can_move(stretto: Command, project: Path) -> None:
    text = "one\u2028two\u2029three\x85four"
    remember(stretto, text)
    assert "1 memories" in stretto("memory", "export", "all.jsonl").stderr
    elsewhere = ("--home", str(project / "other"))
    assert stretto("memory", "import", "all.jsonl", *elsewhere).stderr == "1 memories added\n"
    found = stretto("memory", "recall", "three", "--json", *elsewhere)
    assert [item["text"] for item in json.loads(found.stdout)["items"]] == [text]


def test_an_export_that_cannot_be_made_leaves_the_last_one_alone(
    stretto: Command, project: Path, holder: int
) -> None:
    copy = project / "all.jsonl"
    copy.write_text("the last one")
    assert stretto("memory", "export", "all.jsonl").returncode == 1
    nothing = stretto("memory", "export", "all.jsonl", "--home", "empty")
    assert (nothing.returncode, nothing.stderr) == (0, "nothing is remembered in empty yet\n")
    assert copy.read_text() == "the last one"


def test_what_has_expired_can_be_forgotten_by_its_id(stretto: Command) -> None:
    item = remember(stretto, "Ann likes tea.", "--ttl", "0.001")
    assert json.loads(stretto("memory", "forget", item).stdout)["count"] == 1


def test_figures_and_upkeep(stretto: Command) -> None:
    remember(stretto, "Ann likes tea.", "--ttl", "0.001")
    remember(stretto, "Bob likes coffee.")
    assert "1 memories had expired" in stretto("memory", "compact").stderr
    assert "1 memories indexed anew" in stretto("memory", "reindex").stderr
    figures = json.loads(stretto("memory", "stats", "--json").stdout)
    assert figures["items"] == 1
    assert "items" in stretto("memory", "stats").stdout


def test_a_run_is_remembered_by_hand_and_only_once(stretto: Command, project: Path) -> None:
    stretto("run", "tell.yaml", "-i", "title=Pump 4 leaks", "--run-id", "r-1")
    first = stretto("memory", "remember", "--run", "r-1")
    again = stretto("memory", "remember", "--run", "r-")
    assert first.returncode == again.returncode == 0
    assert first.stdout == again.stdout
    done = json.loads(stretto("memory", "recall", "pump leaks", "--json").stdout)
    assert {item["source"]["run_id"] for item in done["items"]} == {"r-1"}
    assert not (project / ".stretto" / "memory" / "r-1").exists()


def test_a_run_that_waits_is_not_remembered(stretto: Command) -> None:
    assert stretto("run", "ask.yaml", "--run-id", "w").returncode == 3
    done = stretto("memory", "remember", "--run", "w")
    assert (done.returncode, "run w is waiting" in done.stderr) == (2, True)


def test_settings_let_every_run_be_remembered(stretto: Command) -> None:
    on = {"STRETTO_REMEMBER_RUNS": "true"}
    assert stretto("run", "tell.yaml", "-i", "title=Pump 4 leaks", **on).returncode == 0
    assert len(lines_of(stretto("memory", "recall", "pump"))) > 0


@pytest.fixture
def holder(project: Path) -> Iterator[int]:
    """The id of a process that has the memory of the project."""
    with held(project / ".stretto" / "memory") as process:
        yield process


def test_a_memory_in_use_ends_in_a_message_that_says_who_has_it(
    stretto: Command, holder: int
) -> None:
    for words in (("recall", "x"), ("remember", "x"), ("stats",), ("compact",)):
        done = stretto("memory", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert str(holder) in done.stderr
        assert "QDRANT_URL" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    doctor = stretto("doctor")
    (line,) = [line for line in doctor.stdout.splitlines() if line.split()[1] == "memory"]
    assert line.startswith("warn")
    assert doctor.returncode == 0


def test_two_runs_at_once_both_succeed(stretto: Command, holder: int) -> None:
    done = stretto("run", "account_analysis", "-i", "account_id=ACC-1188", "--events")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [e["step"] for e in events if e["event"] == "memory_degraded"] == ["history"]
    assert events[-1]["event"] == "workflow_completed"


def test_a_server_that_is_away_ends_in_a_message(stretto: Command) -> None:
    away = {"QDRANT_URL": "http://127.0.0.1:9"}
    for words in (("recall", "x"), ("stats",)):
        done = stretto("memory", *words, **away)
        assert (done.returncode, done.stdout) == (1, "")
        assert "127.0.0.1:9" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_server_has_the_memory_of_all_processes(stretto: Command, project: Path) -> None:
    with qdrant_server() as server:
        there = {"QDRANT_URL": server.url}
        assert stretto("memory", "remember", "Ann likes tea.", **there).returncode == 0
        found = stretto("memory", "recall", "tea", **there)
        doctor = stretto("doctor", **there)
    assert [row[4] for row in lines_of(found)] == ["Ann likes tea."]
    (line,) = [x for x in doctor.stdout.splitlines() if x.split()[1] == "memory"]
    assert (line[:2], server.url in line, "1 items" in line) == ("ok", True, True)


def test_old_episodes_are_summed_up(stretto: Command) -> None:
    for number, what in enumerate(("Pump 4 leaks", "Pump 4 was mended")):
        stretto("run", "tell.yaml", "-i", f"title={what}", "--run-id", f"r{number}")
        assert stretto("memory", "remember", "--run", f"r{number}").returncode == 0
    done = stretto("memory", "consolidate", "--model", "offline", "--older-than", "0")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("1 summaries, 0 contradictions")
    (row,) = lines_of(stretto("memory", "recall", "pump", "--kind", "summary"))
    assert "Pump 4 leaks" in row[4]
    again = stretto("memory", "consolidate", "--model", "offline", "--older-than", "0")
    assert again.stderr.startswith("0 summaries")


def test_a_folder_of_something_else_is_refused(stretto: Command, project: Path) -> None:
    folder = project / ".stretto" / "memory"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text("not ours")
    done = stretto("memory", "recall", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert str(Path(".stretto") / "memory") in done.stderr
    assert (folder / "meta.json").read_text() == "not ours"


def test_doctor_tells_of_memory_and_creates_nothing(stretto: Command, project: Path) -> None:
    before = stretto("doctor")
    assert "memory" in before.stdout
    assert not (project / ".stretto").exists()
    remember(stretto, "Ann likes tea.")
    (line,) = [x for x in stretto("doctor").stdout.splitlines() if x.split()[1] == "memory"]
    assert line.startswith("ok")
    assert "1 items" in line


def test_a_person_sees_a_table(stretto: Command, project: Path) -> None:
    item = remember(stretto, "Ann likes [bold]tea[/bold].", "--at", "2026-03-01T12:00+00:00")
    _, seen = on_terminal(project, "memory", "recall", "tea", "--explain", NO_COLOR="1")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    rows = [line.split() for line in plain.splitlines()]
    assert rows[0] == ["id", "date", "kind", "text", "score"]
    assert rows[1][:3] == [item[:8], "2026-03-01", "fact"]
    assert "[bold]tea[/bold]." in seen


def test_a_person_sees_why_a_step_went_on_without_memory(project: Path, holder: int) -> None:
    _, seen = on_terminal(project, "run", "account_analysis", "-i", "account_id=ACC-1188")
    assert "'history' went on without memory" in seen
    assert str(holder) in seen
