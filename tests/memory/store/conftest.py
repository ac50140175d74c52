from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore

from stretto.memory.backend.opening import open_backend
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


@contextmanager
def peer(kind: str, folder: Path) -> Iterator[BaseStore]:
    if kind == "reference":
        yield InMemoryStore()
        return
    with QdrantStore(open_backend(folder, None, None, None)) as found:
        yield found


@pytest.fixture(params=[*ENGINES, "reference"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    with peer(request.param, tmp_path / "memory") as found:
        yield found


@pytest.fixture(params=[*ENGINES, "reference"], scope="module")
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BaseStore]:
    """A store that holds the ``HELD`` of a test module, for tests that only read."""
    with peer(request.param, tmp_path_factory.mktemp("memory")) as found:
        held: list[PutOp] = request.module.HELD
        found.batch(held)
        yield found
