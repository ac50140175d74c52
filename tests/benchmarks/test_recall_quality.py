"""Recall finds the evidence in conversations of our own, and each of its parts is needed for it."""

import json
import os
from pathlib import Path
from statistics import fmean

import pytest

from benchmarks.memory.conversations import ADVERSARIAL, Question, read_conversations
from benchmarks.memory.quality import Found, ask_all, main
from benchmarks.memory.recipe import Parts
from stretto.memory.embeddings import open_embedder

DATA = Path(__file__).parents[1] / "memory" / "data" / "conversations.json"
FLOOR = 0.845
"""Measured: 0.853; 0.835 without dates, 0.829 episodes, 0.788 stems, 0.700 smoothing."""
MODEL = os.environ.get("STRETTO_TEST_MINILM")


def recall_at_10(parts: Parts | None = None, embedder: str | None = None) -> float:
    found = ask_all(read_conversations(DATA), open_embedder(embedder), parts)
    return fmean(each.recall(10) for each in found if each.question.category != ADVERSARIAL)


def test_recall_without_a_model_finds_the_evidence() -> None:
    assert recall_at_10() >= FLOOR


@pytest.mark.parametrize("part", Parts.__slots__)
def test_a_recall_that_lacks_a_part_is_noticed(part: str) -> None:
    assert recall_at_10(Parts(**{part: False})) < FLOOR


@pytest.mark.skipif(MODEL is None, reason="STRETTO_TEST_MINILM names no folder of all-MiniLM-L6-v2")
def test_recall_with_a_model_finds_more() -> None:
    assert recall_at_10(embedder=f"dir:{MODEL}") > recall_at_10()


def test_figures_are_those_of_the_first_turns_and_sessions() -> None:
    question = Question("?", 4, frozenset({"D1:1", "D2:5"}))
    found = Found("one", question, ["D3:1", "D1:1", "D3:2", "D2:1"])
    assert [found.recall(cut) for cut in (1, 2, 4)] == [0, 0.5, 0.5]
    assert [found.session_recall(cut) for cut in (1, 2, 3)] == [0, 0.5, 1]
    assert found.reciprocal_rank() == 0.5
    assert Found("one", question, []).reciprocal_rank() == 0


def test_a_file_is_measured_by_half_and_by_category(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = [{"speaker": "Ann", "dia_id": "D1:1", "text": "Tea is ready.", "blip_caption": "a pot"}]
    session = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    asked = [
        {"question": "Who made tea?", "category": 4, "evidence": ["D1:1"]},
        {"question": "What did Ann show in May 2023?", "category": 2, "evidence": ["D1:1; D9:9"]},
        {"question": "Nobody knows?", "category": 1, "evidence": ["D7:7"]},
    ]
    data = tmp_path / "data.json"
    samples = [{"sample_id": n, "conversation": session, "qa": asked} for n in ("a", "b")]
    data.write_text(json.dumps(samples), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["quality", str(data)])
    main()
    lines = capsys.readouterr().out.splitlines()
    everything = "R@5/10/20 100.0 / 100.0 / 100.0  MRR 1.000  session R@10 100.0"
    assert lines[0].split(maxsplit=2)[2] == f"n=4     {everything}"
    assert [line.split("n=")[1].split()[0] for line in lines[1:-1]] == list("2202020")
