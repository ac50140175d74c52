"""Vectors kept in a SQLite file, so that no text is embedded twice."""

import logging
import sqlite3
from array import array
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from stretto.memory.sqlite import BUSY_SECONDS, use_wal

MAX_BYTES = 128 * 2**20
"""Of vectors in one file; the oldest are dropped beyond it."""
KEYS_PER_LOOK = 500
logger = logging.getLogger(__name__)


class VectorCache:
    """Vectors by a hash; a file that fails costs a repeated computation, never a call.

    Every call opens the file anew, which takes a tenth of a millisecond: so threads, forks and
    other processes can use it at once.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        """Keep at most ``max_bytes`` of vectors in the file at ``path``, made at the first use."""
        self.path = path
        self._max_bytes = max_bytes

    def get(self, keys: Sequence[bytes], dims: int) -> dict[bytes, list[float]]:
        """Give the vectors of ``dims`` numbers that are kept under ``keys``."""
        if not self.path.exists():
            return {}
        try:
            with closing(self._connect()) as connection:
                rows = [row for part in _parts(keys) for row in _select(connection, part)]
        except sqlite3.Error as error:
            self._pass_over(error)
            return {}
        return {key: array("f", blob).tolist() for key, blob in rows if len(blob) == 4 * dims}

    def put(self, vectors: Mapping[bytes, Sequence[float]]) -> None:
        """Keep vectors."""
        rows = [(key, array("f", vector).tobytes()) for key, vector in vectors.items()]
        try:
            use_wal(self.path)
            with closing(self._connect()) as connection, connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors"
                    " (place INTEGER PRIMARY KEY, key BLOB UNIQUE, vector BLOB NOT NULL)"
                )
                connection.executemany(
                    "INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)", rows
                )
                self._drop_oldest(connection, len(rows[0][1]))
        except (sqlite3.Error, OSError) as error:
            self._pass_over(error)

    def _drop_oldest(self, connection: sqlite3.Connection, size: int) -> None:
        """Keep the newest: places only grow, so the newest ones are the highest."""
        connection.execute(
            "DELETE FROM vectors WHERE place <= (SELECT max(place) FROM vectors) - ?",
            [max(self._max_bytes // size, 1)],
        )

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS)

    def _pass_over(self, error: Exception) -> None:
        logger.warning(
            "vectors are not kept in %s (%s); delete the file if this stays", self.path, error
        )


def _parts(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[start : start + KEYS_PER_LOOK] for start in range(0, len(keys), KEYS_PER_LOOK)]


def _select(connection: sqlite3.Connection, keys: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    marks = ",".join("?" * len(keys))
    found = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", keys)
    return found.fetchall()
