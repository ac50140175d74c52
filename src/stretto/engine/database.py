"""Opening the database of the records: its settings, its schema, and its errors in plain words."""

import importlib
import json
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy import column as name_of_column
from sqlalchemy import table as name_of_table
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError

from stretto.engine.tables import METADATA, REVISIONS, VERSION_TABLE
from stretto.errors import ConfigurationError
from stretto.memory.sqlite import BUSY_SECONDS, use_wal

BACKEND, DRIVER = "sqlite", "sqlite+pysqlite"
READERS = 8
"""Reading transactions at once; of the writing ones there is one."""
_REMEDIES = {
    "SQLITE_NOTADB": "the file is damaged or no database; move it away or restore a backup",
    "SQLITE_CORRUPT": "the file is damaged; move it away or restore a backup",
    "SQLITE_CANTOPEN": "the file cannot be opened; check that the folder exists and is yours",
    "SQLITE_PERM": "access is denied; give this user the right to read and write it",
    "SQLITE_AUTH": "access is denied; give this user the right to read and write it",
    "SQLITE_READONLY": "it cannot be written; give this user the right to write file and folder",
    "SQLITE_FULL": "the disk is full; make room and start again",
    "SQLITE_IOERR": "reading or writing failed; check the disk and its free space",
    "SQLITE_BUSY": f"another process kept it locked for {BUSY_SECONDS:g} seconds; end that process",
}


@contextmanager
def explained(url: URL) -> Generator[None]:
    """Turn what a database driver raises into one sentence that says what to do.

    Args:
        url: the database, named in the message.

    Raises:
        ConfigurationError: the database failed; broken rules of the schema pass through.

    """
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise ConfigurationError(f"the database {url.database} failed: {_remedy(cause)}") from error


def _remedy(cause: BaseException | None) -> str:
    name = getattr(cause, "sqlite_errorname", "") or ""
    for prefix, remedy in _REMEDIES.items():
        if name.startswith(prefix):
            return remedy
    return f"{cause}; check STRETTO_DATABASE_URL and that the database can be reached"


def parse_url(text: str) -> URL:
    """Read a database URL and name the driver for it.

    Who works on a run is told by locks in a folder, and its steps are saved beside them, so a
    server that several machines share would let two of them run the same run.

    Raises:
        ConfigurationError: it is no URL, or of another database than SQLite.

    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError(f"{text!r} is no database URL; write sqlite:///path") from error
    if (backend := url.get_backend_name()) != BACKEND:
        raise ConfigurationError(f"runs are kept in SQLite, not {backend}; write sqlite:///path")
    return url.set(drivername=DRIVER)


def open_engine(url: URL) -> Engine:
    """Connect, and bring the schema to what this version of the code needs.

    What the driver raises is to be ``explained`` by whoever calls this.

    Raises:
        ConfigurationError: the database is of another program, or of a newer version.

    """
    if path := file_of(url):
        use_wal(path)
    engine = _connectable(url)
    try:
        with to_write(engine).begin() as connection:
            _migrate(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def to_write(engine: Engine) -> Engine:
    """Give the engine as one whose transactions take the write lock at their start."""
    return engine.execution_options(writes=True)


def file_of(url: URL) -> Path | None:
    """Give the file that ``url`` names, None for a database in memory."""
    return None if url.database in (None, "", ":memory:") else Path(url.database)


def _connectable(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_size": READERS + 1} if file_of(url) else {}
    connect = {"timeout": BUSY_SECONDS}
    engine = create_engine(url, json_serializer=to_json, connect_args=connect, **options)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def to_json(value: Any) -> str:
    """Write a value as JSON text; what JSON does not know is written as its text."""
    return json.dumps(value, default=str, separators=(",", ":"))


def _set_pragmas(connection: Any, _record: Any) -> None:
    # Transactions are begun by _begin: the driver's own implicit BEGIN is deferred, and a
    # deferred transaction that turns into a writing one fails at once instead of waiting.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    revision = _revision(connection)
    if revision == REVISIONS[-1]:
        return
    if revision is None:
        _create(connection)
    elif revision == "" or revision in REVISIONS:
        importlib.import_module("stretto.engine.migrations").upgrade(connection)
    else:
        raise ConfigurationError(
            f"the database was written by a newer stretto (schema {revision}, this one knows "
            f"{REVISIONS[-1]}); upgrade stretto or use another database"
        )


def _revision(connection: Connection) -> str | None:
    """Read the schema's revision: None in a fresh database, empty when none was recorded."""
    names = set(inspect(connection).get_table_names())
    if VERSION_TABLE in names:
        version = name_of_table(VERSION_TABLE, name_of_column("version_num"))
        return connection.execute(select(version.c.version_num)).scalar() or ""
    if foreign := sorted(names & set(METADATA.tables)):
        raise ConfigurationError(
            f"the database has tables of another program ({', '.join(foreign)}); use another one"
        )
    return None


def _create(connection: Connection) -> None:
    """Create all tables at once, as if every migration had run; importing alembic is slow."""
    METADATA.create_all(connection)
    stamp = name_of_table(VERSION_TABLE, name_of_column("version_num"))
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    )
    connection.execute(insert(stamp).values(version_num=REVISIONS[-1]))
