"""LangGraph's store in a SQLite file, made safe for several processes and for failing halfway."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from langgraph.store.sqlite import SqliteStore

from stretto.errors import ConfigurationError
from stretto.memory.sqlite import BUSY_SECONDS, use_wal


class SqliteStates(SqliteStore):
    """Creates its tables, and writes each batch, as a whole or not at all."""

    def setup(self) -> None:
        """Create the tables.

        LangGraph takes a step for each, and two processes at once, or one that dies in the middle,
        would leave a file that nobody can open.
        """
        with self._whole():
            create = "CREATE TABLE IF NOT EXISTS store_migrations (v INTEGER PRIMARY KEY)"
            self.conn.execute(create)
            (done,) = self.conn.execute("SELECT count(*) FROM store_migrations").fetchone()
            for version, statement in enumerate(self.MIGRATIONS[done:], done):
                self.conn.execute(statement)
                self.conn.execute("INSERT INTO store_migrations (v) VALUES (?)", (version,))
        super().setup()

    @contextmanager
    def _cursor(self, *, transaction: bool = True) -> Generator[sqlite3.Cursor]:
        """Open a transaction that is taken back when something in it fails."""
        if not self.is_setup:
            self.setup()
        with self._whole():
            yield self.conn.cursor()

    @contextmanager
    def _whole(self) -> Generator[None]:
        with self.lock:
            # One that reads first and then writes would fail at once when another process has
            # written in between; this one waits for its turn.
            self.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.conn.execute("COMMIT")
            finally:
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")


def open_sqlite_states(path: Path) -> SqliteStates:
    """Open or create a file.

    Args:
        path: the SQLite file; folders above it are created.

    Raises:
        ConfigurationError: it cannot be used.

    """
    try:
        use_wal(path)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous=FULL")
            states = SqliteStates(connection)
            states.setup()
        except BaseException:
            connection.close()
            raise
        return states
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(
            f"the state of agents cannot be kept in {path}: {error}; check that the file is yours, "
            "undamaged, and that the disk has room"
        ) from error
