import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stretto.memory.sqlite import use_wal


def mode(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def test_a_file_that_another_holds_is_switched_once_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # SQLite refuses the switch at once then, without waiting
    with ThreadPoolExecutor() as threads:
        switching = threads.submit(use_wal, path)
        with pytest.raises(TimeoutError):
            switching.result(timeout=0.2)
        other.execute("ROLLBACK")
        switching.result(timeout=30)
    other.close()
    assert mode(path) == "wal"


def test_many_that_open_a_fresh_file_at_once_all_succeed(tmp_path: Path) -> None:
    paths = [tmp_path / "new" / f"{number // 8}.db" for number in range(160)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use_wal, paths))
    assert {mode(path) for path in paths} == {"wal"}


def test_another_error_is_not_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database at all, but long enough " * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        use_wal(path)
