from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from stretto.memory.recollection import Memory


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncGenerator[Memory]:
    async with Memory(tmp_path / "memory") as opened:
        yield opened
