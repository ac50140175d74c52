"""One process per memory folder: a lock that says who holds it and dies with its process."""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stretto.errors import MemoryFault

LOCK = "owner.lock"
NAME = "owner.json"


class Owner:
    """The right of one process to use a folder, until ``release``.

    The operating system holds the lock and drops it when the process ends, however that happens,
    so a lock that is left behind blocks nobody. The file with the name is only for people.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            MemoryFault: ``memory_locked``: another process has it; says which one and what to do.
            OSError: the lock cannot be written.

        """
        self._lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise MemoryFault(
                f"Memory in {folder} is in use by {_holder(folder)}. Go on in that process, set "
                "QDRANT_URL so that processes share one server, or set STRETTO_HOME to another "
                "folder.",
                code="memory_locked",
            ) from None
        try:
            _sign(folder)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let others use the folder."""
        self._lock.release()


def _sign(folder: Path) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    name = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    (folder / NAME).write_text(json.dumps(name), encoding="utf-8")


def _holder(folder: Path) -> str:
    try:
        name: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return f"process {name['pid']} on {name['host']} since {name['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
