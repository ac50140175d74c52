"""The rooms at the top of the repository are the packages stretto.<room>, and only those."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL: dict[str, Any] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
ROOMS = ("graphs", "agents", "prompts", "memory")


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_from_the_top_of_the_repository(room: str) -> None:
    module = importlib.import_module(f"stretto.{room}")
    assert [Path(entry).resolve() for entry in module.__path__] == [REPO / room]


@pytest.mark.parametrize("room", ROOMS)
def test_room_ships_under_stretto(room: str) -> None:
    assert room in WHEEL["only-include"]
    assert WHEEL["sources"][room] == f"stretto/{room}"


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_linked_for_editable_installs(room: str) -> None:
    link = REPO / "src" / "stretto" / room
    assert link.is_symlink()
    assert link.readlink() == Path("../..") / room


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_type_checked_once(room: str) -> None:
    assert room in PROJECT["tool"]["pyright"]["include"]
    assert f"src/stretto/{room}" in PROJECT["tool"]["pyright"]["exclude"]
