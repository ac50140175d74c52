"""The benchmarks measure what they say: every contender's work is checked, and so is the report."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main, measure_all
from benchmarks.contenders import ASYNCIO, ENGINE, LANGGRAPH, STRETTO
from benchmarks.journal import Journal, WrongRun
from benchmarks.measure import measure, ratio
from benchmarks.report import CLIENT, END, START, Row, Target, to_markdown, write_docs
from benchmarks.scenarios import SCENARIOS
from benchmarks.workloads import chain, critical_path, fan_out, out_of_phase, random_layers

DIAMOND = fan_out(2)
DONE = {job.id: {"done": job.id} for job in DIAMOND}


class Counted:
    """A contender that notes when it ran and when it was checked."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self._notes = notes

    async def run(self) -> None:
        self._notes.append(self.name)

    def check(self) -> None:
        self._notes.append(f"{self.name} checked")


async def work_through(journal: Journal, *steps: str) -> None:
    for step in steps:
        await journal.work(step, 0.0)


async def test_a_run_that_does_every_step_once_in_order_passes() -> None:
    journal = Journal(DIAMOND)
    await work_through(journal, "split", "item1", "item0", "join")
    journal.check([DONE])
    with pytest.raises(WrongRun, match="not run exactly once: split"):
        journal.check([DONE])  # each check looks at what was done since the last one


@pytest.mark.parametrize(
    ("steps", "outputs", "message"),
    [
        (["split", "item0", "item1"], [DONE], "not run exactly once: join"),
        (["split", "item0", "item0", "item1", "join"], [DONE], "not run exactly once: item0"),
        (["split", "item0", "item1", "join"], [DONE, DONE], "not run exactly once"),
        (["split", "item0", "join", "item1"], [DONE], "before its needs had ended: join"),
        (["split", "item0", "item1", "join"], [{"join": {"done": "join"}}], "output is missing"),
    ],
)
async def test_a_wrong_run_is_refused(
    steps: list[str], outputs: list[dict[str, dict[str, str]]], message: str
) -> None:
    journal = Journal(DIAMOND)
    await work_through(journal, *steps)
    with pytest.raises(WrongRun, match=message):
        journal.check(outputs)


def test_the_critical_path_is_the_longest_way_through() -> None:
    assert critical_path(chain(3, 0.5)) == 1.5
    assert critical_path(out_of_phase(10, short=1.0, long=5.0)) == 30.0
    assert critical_path(fan_out(5)) == 0.0


def test_the_random_dag_is_the_same_every_time_and_needs_only_the_layer_before() -> None:
    dag = random_layers()
    assert dag == random_layers()
    assert len(dag) == 60
    place = {job.id: number // 6 for number, job in enumerate(dag)}
    gaps = {place[job.id] - place[need] for job in dag for need in job.needs}
    assert gaps == {1}
    assert [job.id for job in dag if not job.needs] == [job.id for job in dag[:6]]


async def test_rounds_rotate_and_warmups_do_not_count() -> None:
    notes: list[str] = []
    taken = await measure([Counted("x", notes), Counted("y", notes)], rounds=2, warmups=1)
    ran = [note for note in notes if "checked" not in note]
    assert ran == ["x", "y", "y", "x", "x", "y"]
    assert notes[1] == "x checked"
    assert {name: len(samples) for name, samples in taken.items()} == {"x": 2, "y": 2}


def test_a_ratio_compares_within_the_round() -> None:
    samples = {"own": [1.0, 20.0, 3.0], "peer": [1.0, 10.0, 1.0]}
    assert ratio(samples, "own", "peer") == 2.0
    assert ratio(samples, "own", "absent") is None


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target(2.0), True),
        (Target(1.9), False),
        (Target(0.5, "ratio"), True),
        (Target(0.4, "ratio"), False),
        (None, None),
    ],
)
def test_a_target_bounds_the_figure_or_its_ratio_to_langgraph(
    target: Target | None, met: bool | None
) -> None:
    row = Row("c", "a case", "µs", {LANGGRAPH: [4.0], STRETTO: [2.0]}, target)
    assert row.met is met
    verdict = {True: "yes", False: "**no**", None: ""}[met]
    assert to_markdown([row], 1).strip().splitlines()[-1].endswith(f"| {verdict} |")


def test_the_docs_keep_their_text_around_the_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    write_docs(page, "new")
    assert page.read_text(encoding="utf-8") == f"before\n{START}\n\nnew\n{END}\nafter\n"


def test_docs_without_markers_are_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text", encoding="utf-8")
    with pytest.raises(ValueError, match="page.md needs the lines"):
        write_docs(page, "new")
    assert page.read_text(encoding="utf-8") == "text"


async def test_makespan_compares_all_with_and_without_sqlite() -> None:
    rows = await measure_all(["a"], rounds=1, quick=True)
    assert [set(row.samples) for row in rows] == [
        {ASYNCIO, LANGGRAPH, STRETTO},
        {LANGGRAPH, STRETTO},
    ]
    shortest = [min(values) for row in rows for values in row.samples.values()]
    assert all(value >= 0.99 for value in shortest)  # nothing beats the critical path
    assert [row.target for row in rows] == [None, None]


async def test_storage_is_counted_for_graph_and_engine() -> None:
    rows = await measure_all(["g"], rounds=1, quick=True)
    assert [row.subject for row in rows] == [STRETTO, ENGINE]
    assert set(rows[0].samples) == {LANGGRAPH, STRETTO, ENGINE}
    assert all(values[0] > 1.0 for values in rows[0].samples.values())  # the input is in each


async def test_dispatch_and_breaker_are_measured_in_an_outage_and_a_crowd() -> None:
    rows = await measure_all(["j", "k"], rounds=1, quick=True)
    assert [row.unit for row in rows] == [
        "µs per call",
        "µs per call",
        "calls let through",
        "s from repair to closed, worst",
        "ms per refusal, p99",
    ]
    calls, closed = (row.samples[STRETTO][0] for row in rows[2:4])
    assert (calls, closed <= 15) == (9, True)


async def test_tokens_of_a_model_are_compared_with_the_bare_client() -> None:
    rows = await measure_all(["l"], rounds=1, quick=True)
    assert [set(row.samples) for row in rows] == [{CLIENT, STRETTO}] * 2
    target = Row("l", "c", "µs", rows[0].samples, Target(1.5, "ratio"), peer=CLIENT).aim
    assert (target, [row.peer for row in rows]) == ("≤ 1.5 x langchain-openai", [CLIENT] * 2)
    assert all(row.ratio and row.ratio > 0.0 for row in rows)


def test_the_command_prints_a_table_and_writes_json_that_names_no_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    main(["--quick", "--only", "d,f,i", "--json", str(file)])
    report = json.loads(file.read_text(encoding="utf-8"))
    assert set(report) == {"python", "langgraph", "stretto", "rounds", "rows"}
    assert report["rounds"] == 1
    assert [row["scenario"] for row in report["rows"]] == ["d"] * 4 + ["f"] * 3 + ["i"]
    for row in report["rows"]:
        assert row["medians"] == {name: values[0] for name, values in row["rounds"].items()}
        assert row["ratio_to_peer"] > 0.0
    table = capsys.readouterr().out
    assert table.count("\n| d |") == 4
    assert "| f | 50 tokens through one step, engine | µs CPU per token |" in table


@pytest.mark.parametrize("words", [["--only", "a,z"], ["--rounds", "0"]])
def test_a_wrong_word_on_the_command_line_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_every_scenario_has_a_letter() -> None:
    assert list(SCENARIOS) == list("abcdefghijkl")
