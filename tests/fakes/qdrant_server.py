"""The slice of Qdrant's REST interface that memory uses, on loopback, over the embedded engine.

Bodies are parsed with the models of the real client, so what a server would refuse is refused.
"""

import json
import socket
import tempfile
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from pydantic import ValidationError

from tests.fakes.qdrant_collections import Collections, Missing


class QdrantServer:
    """A running server; ``stop`` and ``start`` keep its address and its points."""

    def __init__(self, folder: Path, version: str, api_key: str | None) -> None:
        self.collections = Collections(folder, version)
        self.api_key = api_key
        self.faults: deque[int | str] = deque()
        """What the next requests meet: a status, "cut", "lost" (done, but the answer is cut),
        "slow" (until ``released``), "fine", or any other text as the answer."""
        self.released = Event()
        self.requests: list[tuple[str, str]] = []
        self.lock = Lock()
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Server(("127.0.0.1", self.port), handler)
        self.port = self._http.server_port
        self._thread = Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients of tests hang up on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: QdrantServer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        fault: int | str | None = None
        with self.owner.lock:
            self.owner.requests.append((self.command, path))
            if self.owner.faults:
                fault = self.owner.faults.popleft()
        if fault == "lost":
            self.result(path, body)
        if fault in ("cut", "lost"):
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault == "slow":
            self.owner.released.wait()
        if isinstance(fault, int):
            self.send(fault, {"status": {"error": "injected"}})
        elif fault not in (None, "fine", "slow", "lost", "cut"):
            self.send(200, fault)
        elif self.owner.api_key and self.headers.get("api-key") != self.owner.api_key:
            self.send(401, {"status": {"error": "Must provide an API key"}})
        else:
            self.send(*self.result(path, body))

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

    def result(self, path: str, body: bytes) -> tuple[int, Any]:
        try:
            with self.owner.lock:
                found = self.owner.collections.answer(self.command, path, body)
        except Missing as error:
            return 404, {"status": {"error": f"Not found: {error}"}}
        except ValidationError as error:
            return 400, {"status": {"error": str(error)}}
        except Exception as error:
            return 500, {"status": {"error": str(error)}}
        return 200, found if path == "/" else {"result": found, "status": "ok", "time": 0.0}

    def send(self, status: int, answer: Any) -> None:
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def qdrant_server(
    version: str = "1.20.0", api_key: str | None = None
) -> Generator[QdrantServer, None, None]:
    """Run a server with nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        server = QdrantServer(Path(folder), version, api_key)
        try:
            yield server
        finally:
            server.released.set()
            server.stop()
            server.collections.close()
