"""One backend of each sort: a folder, a server over loopback, and a true server if there is one."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.protocol import Backend
from stretto.memory.backend.server import ServerBackend
from tests.fakes.qdrant_server import QdrantServer, qdrant_server

DIMS = 3


@pytest.fixture
def server() -> Iterator[QdrantServer]:
    with qdrant_server() as running:
        yield running


@pytest.fixture(params=["edge", "double", "server"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "edge":
        opened: Backend = EdgeBackend(tmp_path / "memory", DIMS)
    elif request.param == "double":
        double: QdrantServer = request.getfixturevalue("server")
        opened = ServerBackend(tmp_path / "memory", double.url, dims=DIMS)
    else:
        opened = true_server(tmp_path)
    yield opened
    opened.close()


def true_server(folder: Path) -> ServerBackend:
    """Use a fresh collection of the server that QDRANT_URL names."""
    url, key = os.environ.get("QDRANT_URL"), os.environ.get("QDRANT_API_KEY")
    if not url:
        pytest.skip("QDRANT_URL names no Qdrant server to try the same against")
    name = f"stretto_test_{uuid.uuid4().hex}"
    return ServerBackend(folder, url, SecretStr(key) if key else None, DIMS, collection=name)
