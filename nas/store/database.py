"""Connections to SQLite or PostgreSQL: everything in which the two differ, except for reading with foreign SQL.

A write takes SQLite's only write lock at once (`BEGIN IMMEDIATE`), because a transaction that first reads and
then writes fails at any time when somebody else wrote in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError, StatementError

from search_spaces.errors import StoreError

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
DRIVERS = {SQLITE: "sqlite", POSTGRESQL: "postgresql+psycopg"}

LOCK_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10


class Database:
    """A reachable database server or file, whatever is in it.

    Args:
        url: `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`.
        create: whether an SQLite file may be created.

    Raises:
        StoreError: the URL is no such thing, or nothing is there.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self.url = _parse(url)
        self.dialect = self.url.get_backend_name()
        if self.dialect == SQLITE:
            _check_path(self.path, create)
        with explained(f"open {self}"):
            self._engine = create_engine(
                self.url,
                json_serializer=json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode,
                pool_pre_ping=self.dialect == POSTGRESQL,
                **_connect_options(self.url),
            )
            if self.dialect == SQLITE:
                event.listen(self._engine, "connect", _set_pragmas)
                if create:
                    event.listen(self._engine, "connect", _keep_write_ahead_log)
                event.listen(self._engine, "begin", _begin_sqlite)
            self._engine.connect().close()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "")

    @contextmanager
    def writing(self, action: str = "write") -> Iterator[Connection]:
        """One transaction: everything in it is stored, or nothing.

        Raises:
            StoreError: it could not be stored; the message says that `action` is what failed, and why.
        """
        with explained(f"{action} in {self}"):
            engine = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
            with engine.begin() as connection:
                yield connection

    @contextmanager
    def reading(self, action: str = "read") -> Iterator[Connection]:
        """One transaction that sees the database as it is at its first statement, and cannot change it.

        Raises:
            StoreError: as in `writing`.
        """
        with explained(f"{action} {self}"):
            engine = self._engine
            if self.dialect == POSTGRESQL:
                engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with engine.connect() as connection:  # closing rolls back
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Turn whatever a database says into one line.

    Raises:
        StoreError: "cannot `action`: the cause".
    """
    try:
        yield
    except ModuleNotFoundError:
        raise StoreError(f"cannot {action}: install the driver with `pip install 'depth-nas[postgres]'`") from None
    except (SQLAlchemyError, OverflowError, ValueError) as error:  # the last two: numbers and text that it cannot hold
        raise StoreError(f"cannot {action}: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    if isinstance(error, StatementError) and error.orig is not None:  # others carry no driver's error
        return str(error.orig).strip().split("\n")[0] or type(error.orig).__name__
    return str(error).split("\n")[0]


def _parse(text: str) -> URL:
    example = "sqlite:///nas.db or postgresql://user@host/database"
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (SQLAlchemyError, ValueError):  # the text may hold a password, so it is not repeated
        raise StoreError(f"the database must be a URL such as {example}") from None
    if backend not in DRIVERS or url.drivername not in {backend, DRIVERS[backend]}:
        raise StoreError(f"the database must be {' or '.join(DRIVERS)}, got {url.drivername!r}; write {example}")
    return url.set(drivername=DRIVERS[backend])


def _check_path(path: Path, create: bool) -> None:
    if path.name in {"", ":memory:"} or str(path).startswith("file:"):
        raise StoreError("an SQLite database must be a file such as sqlite:///nas.db")
    if not path.absolute().parent.is_dir():
        raise StoreError(f"there is no directory {path.absolute().parent} for the database {path}")
    if path.is_dir():
        raise StoreError(f"the database {path} must be a file, but is a directory")
    if not create and not path.exists():
        raise StoreError(f"there is no database {path}; name another one, or run a study to create it")


def _connect_options(url: URL) -> Mapping[str, Any]:
    if url.get_backend_name() == SQLITE:
        return {"connect_args": {"timeout": LOCK_TIMEOUT_S}}
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    return {"connect_args": timeout}


def _set_pragmas(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")  # safe against a crash of the process, and no wait for the disk
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _keep_write_ahead_log(connection: DBAPIConnection, _record: object) -> None:
    """So that readers do not wait for the writer. The file remembers; merely reading one does not change it."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
