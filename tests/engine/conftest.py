"""An engine on a real SQLite database, with agents whose lines a test sets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stretto import Engine
from tests.fakes.players import Players, on_stage


@pytest.fixture
def players() -> Players:
    return Players()


@pytest.fixture
async def engine(players: Players, tmp_path: Path) -> AsyncIterator[Engine]:
    async with on_stage(players, tmp_path) as opened:
        yield opened
