"""A real Redis for a test, with nothing in it, gone at its end."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis


@dataclass
class RedisServer:
    """A running ``redis-server`` on a socket file."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    def client(self) -> Any:
        """Give a client of it; redis leaves parts of its types out."""
        return cast(Any, Redis).from_url(self.url)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = ["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no"]
        command = ["redis-server", *options, "--daemonize", "no"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        while not self._answers():
            assert self.process.poll() is None, "redis-server ended at once"

    def stop(self) -> None:
        """End it; what it knew is lost."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(f"{self.folder}/redis.sock")
            except OSError:
                return False
            return True


@contextmanager
def running_redis() -> Generator[RedisServer]:
    """Run a Redis; the test is skipped where it is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    # The path of a socket may not be long, and the folders of tests are.
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
