from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore

from stretto.memory.backend.opening import open_backend
from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.types import Filter, MatchAny
from stretto.memory.store import QdrantStore
from tests.fakes.qdrant_server import qdrant_server
from tests.memory.store.stores import Opener, dims_of

ENGINES = ("edge", "double")
"""The embedded engine, and a server on the loopback interface."""
Emptied = Callable[[str, int | None], Backend]


@contextmanager
def backend_of(kind: str, folder: Path, dims: int | None) -> Generator[Backend]:
    with qdrant_server() if kind == "double" else nullcontext() as server:
        backend = open_backend(folder, server.url if server else None, None, dims)
        try:
            yield backend
        finally:
            backend.close()


@pytest.fixture(scope="session")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emptied]:
    """Gives a backend with nothing in it; to start one for each test would take minutes."""
    with ExitStack() as stack:
        backends: dict[tuple[str, int | None], Backend] = {}

        def empty(kind: str, dims: int | None) -> Backend:
            if (kind, dims) not in backends:
                folder = tmp_path_factory.mktemp("memory")
                backends[kind, dims] = stack.enter_context(backend_of(kind, folder, dims))
            everything = Filter((MatchAny("stretto", ("value", "part")),))
            backends[kind, dims].delete(everything).result()
            return backends[kind, dims]

        yield empty


@pytest.fixture(params=ENGINES)
def opened(request: pytest.FixtureRequest, emptied: Emptied) -> Opener:
    """Opens stores on one backend, with vectors of the size that the first of them writes."""
    backends: list[Backend] = []

    def opener(**settings: Any) -> QdrantStore:
        if not backends:
            backends.append(emptied(request.param, dims_of(settings)))
        return QdrantStore(backends[0], **settings)

    return opener


@pytest.fixture
def qdrant(opened: Opener) -> QdrantStore:
    return opened()


@pytest.fixture(params=[*ENGINES, "reference"])
def store(request: pytest.FixtureRequest, emptied: Emptied) -> BaseStore:
    if request.param == "reference":
        return InMemoryStore()
    return QdrantStore(emptied(request.param, None))


def filled_with(held: list[PutOp], store: BaseStore) -> BaseStore:
    store.batch(held)
    return store


@pytest.fixture(params=ENGINES, scope="module")
def filled_qdrant(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, held: list[PutOp]
) -> Iterator[BaseStore]:
    """A store with what the fixture ``held`` of a test module gives, for tests that only read."""
    with backend_of(request.param, tmp_path_factory.mktemp("held"), None) as backend:
        yield filled_with(held, QdrantStore(backend))


@pytest.fixture(params=[*ENGINES, "reference"], scope="module")
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, held: list[PutOp]
) -> Iterator[BaseStore]:
    """The same, and the reference."""
    if request.param == "reference":
        yield filled_with(held, InMemoryStore())
        return
    with backend_of(request.param, tmp_path_factory.mktemp("held"), None) as backend:
        yield filled_with(held, QdrantStore(backend))
