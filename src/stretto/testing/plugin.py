"""The pytest plugin: fixtures, and no calls of real models unless a test is marked.

Everybody who installs Stretto loads this in every pytest run, so it imports nothing heavy.
"""

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stretto.engine.engine import Engine
    from stretto.testing.clock import FakeClock
    from stretto.testing.models import ScriptedModel

FORBID = "STRETTO_FORBID_MODEL_CALLS"
SERVICES = ("redis_url", "qdrant_url", "qdrant_api_key", "embedder")
"""Settings of a deployment that would lead the engine of a test out of its folder."""
MARK = "allow_model_calls"
_forbidden_by_us = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Forbid calls of real models, unless the environment says otherwise, and name the mark."""
    config.addinivalue_line("markers", f"{MARK}: let Stretto open models of real services.")
    config.stash[_forbidden_by_us] = FORBID not in os.environ
    os.environ.setdefault(FORBID, "1")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the environment as it was."""
    if config.stash.get(_forbidden_by_us, False):
        os.environ.pop(FORBID, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Lift the ban for a marked test, its fixtures included."""
    before = os.environ.get(FORBID)
    if item.get_closest_marker(MARK) is not None:
        os.environ.pop(FORBID, None)
    try:
        return (yield)
    finally:
        if before is not None:
            os.environ[FORBID] = before


@pytest.fixture
def stretto_engine(tmp_path: Path) -> "Engine":
    """Give an engine that keeps everything in ``tmp_path``; open it with ``async with``.

    What a deployment keeps in Redis and Qdrant is no place for what tests leave.
    """
    from stretto.config import load_settings
    from stretto.engine.engine import Engine

    home = tmp_path / ".stretto"
    elsewhere: dict[str, Any] = dict.fromkeys(SERVICES)
    settings = load_settings().model_copy(update=elsewhere)
    database = f"sqlite:///{home / 'stretto.db'}"
    return Engine(home=home, database=database, model="offline", settings=settings)


@pytest.fixture
def scripted_model() -> "Generator[Callable[..., ScriptedModel]]":
    """Make scripted models; a line that nobody asked for is an error at the end of the test."""
    from stretto.testing.models import ScriptedModel

    made: list[ScriptedModel] = []

    def make(answers: Any, *, repeat: bool = False, **settings: Any) -> ScriptedModel:
        model = ScriptedModel(answers, repeat=repeat, **settings)
        if not repeat:
            made.append(model)
        return model

    yield make
    if left := sum(model.left for model in made):
        pytest.fail(f"the scripted model was not asked for its last {left} lines", pytrace=False)


@pytest.fixture
def fake_clock() -> "Generator[FakeClock]":
    """Move time forward instead of waiting; see ``FakeClock``."""
    from stretto.testing.clock import FakeClock

    with FakeClock() as clock:
        yield clock
