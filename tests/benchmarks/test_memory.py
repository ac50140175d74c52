"""The benchmark of memory runs, and judges its figures."""

import json
from pathlib import Path

import pytest

from benchmarks.memory.__main__ import main
from benchmarks.memory.figures import Figure, to_markdown


def test_a_quick_run_loses_nothing_and_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    lost = [f["value"] for f in figures if f["measure"] in ("lost", "writes lost")]
    assert len(lost) == 4
    assert not any(lost)
    assert "| engine, 500 items, put | ms, p50 |" in capsys.readouterr().out


def test_a_figure_is_judged_on_its_side_of_the_limit() -> None:
    assert Figure("c", "m", 3, 2).met is False
    assert Figure("c", "m", 3, 2, "≥").met is True
    assert Figure("c", "m", 3).met is None
    assert "| c | m | 3 | ≤ 2 | **no** |" in to_markdown([Figure("c", "m", 3, 2)])
