import json
from pathlib import Path
from typing import Any

import pytest

from stretto import Workflow
from stretto.engine.outputs import path_below, write_json
from tests.fakes.players import Players, flow, on_stage, step


def saving(path: str, **more: Any) -> Workflow:
    return flow(step("a"), save_output=path, **more)


async def test_the_output_of_a_completed_run_is_a_json_file_below_home(tmp_path: Path) -> None:
    named = "out/${run.id}-${input.who}-${context.team}-${a.call}.json"
    async with on_stage(Players(), tmp_path) as engine:
        result = await engine.run(
            saving(named, output={"text": "Grüße von ${a.path}"}),
            {"who": "me"},
            context={"team": 7},
            run_id="r1",
        )
    assert (result.success, result.errors) == (True, ())
    folder = tmp_path / "outputs" / "out"
    assert [path.name for path in folder.iterdir()] == ["r1-me-7-1.json"]
    text = (folder / "r1-me-7-1.json").read_text(encoding="utf-8")
    assert (json.loads(text), "Grüße" in text) == ({"text": "Grüße von a"}, True)


async def test_a_failed_run_saves_no_output(tmp_path: Path) -> None:
    players = Players()
    players.failing["a"] = 1
    async with on_stage(players, tmp_path) as engine:
        assert (await engine.run(saving("x.json"))).status == "failed"
        assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("who", ["../../x", "x/../../../y", "x/..", "n" * 300])
async def test_an_output_that_cannot_be_saved_is_an_error_and_nothing_is_lost(
    who: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with on_stage(Players(), home) as engine:
        result = await engine.run(saving("out/${input.who}"), {"who": who})
        again = await engine.result(result.run_id)
        (row,) = await engine.runs()
    assert (result.status, result.output) == ("completed", {"path": "a", "call": 1})
    assert [(e.step, e.code) for e in result.errors] == [("save_output", "output_not_saved")]
    assert again.errors == result.errors
    assert row.state == "completed"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


async def test_a_name_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    async with on_stage(Players(), tmp_path) as engine:
        result = await engine.run(saving("out/${input.missing}.json"))
    assert [(e.step, e.code) for e in result.errors] == [("save_output", "expression_failed")]


@pytest.mark.parametrize(
    "name",
    ["/etc/x", "../x", "a/../../x", "C:\\x", "\\x", "..\\x", "C:x", "", ".", "a/..", "a/", "a\0b"],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file below the output folder"):
        path_below(tmp_path, name)


def test_a_link_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="no file below the output folder"):
        path_below(tmp_path / "in", "link/x.json")
    assert path_below(tmp_path / "in", "a/b.json") == tmp_path / "in" / "a" / "b.json"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError):
        write_json(path, {"new": float("nan")})
    path.chmod(0o600)
    assert json.loads(path.read_text()) == {"old": 1}
    write_json(path, [1])
    assert json.loads(path.read_text()) == [1]
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError):
        write_json(folder, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "x.json"]
