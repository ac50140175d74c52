from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from stretto.memory.backend import open_backend
from stretto.memory.store import QdrantStore
from tests.memory.store.stores import Opener, dims_of

ENGINES = ("edge",)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(engine: str, tmp_path: Path) -> Iterator[Opener]:
    backend = None

    def opener(**settings: Any) -> QdrantStore:
        nonlocal backend
        if backend is None:
            backend = open_backend(tmp_path / "memory", None, None, dims_of(settings))
        return QdrantStore(backend, **settings)

    yield opener
    if backend is not None:
        backend.close()


@pytest.fixture
def qdrant(opened: Opener) -> QdrantStore:
    return opened()


@pytest.fixture(params=[*ENGINES, "reference"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    if request.param == "reference":
        yield InMemoryStore()
        return
    with QdrantStore(open_backend(tmp_path / "memory", None, None, None)) as found:
        yield found
