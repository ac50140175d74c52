"""Opening SQLite files that several connections and processes may open at the same moment."""

import sqlite3
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

BUSY_SECONDS = 5.0


def use_wal(path: Path) -> None:
    """Create a SQLite file where there is none, and switch it to write-ahead logging for good.

    SQLite does not wait for others at this switch, however long its timeout: of several that open
    a fresh file at once, some would fail. Once a file is switched, to ask for it again is harmless.

    Args:
        path: the file; folders above it are created.

    Raises:
        sqlite3.Error: the file cannot be used, or others kept it locked for ``BUSY_SECONDS``.
        OSError: a folder cannot be created.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in Retrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(BUSY_SECONDS),
        wait=wait_random(0.002, 0.02),
        reraise=True,
    ):
        with attempt:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            finally:
                connection.close()


def _is_busy(error: BaseException) -> bool:
    return (
        isinstance(error, sqlite3.OperationalError)
        and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )
