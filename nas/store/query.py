"""SQL from outside, strictly read-only.

Two locks each, neither of which looks at the text. SQLite: the file is opened for reading, and an authorizer allows
nothing but to select. PostgreSQL: the transaction is read-only and rolled back, and the text becomes a cursor, which
can only be declared for one SELECT.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any, cast
from urllib.parse import quote

import pandas as pd

from nas.store.database import LOCK_TIMEOUT_S, SQLITE, Database
from search_spaces.errors import StoreError

ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}

Result = tuple[list[str], list[Sequence[Any]]]


def run_query(database: Database, sql: str) -> pd.DataFrame:
    """The rows that one SELECT returns.

    Raises:
        StoreError: it is not one SELECT, or the database refuses it.
    """
    names, rows = _run_sqlite(database, sql) if database.dialect == SQLITE else _run_postgresql(database, sql)
    frame = pd.DataFrame({position: _series([row[position] for row in rows]) for position in range(len(names))})
    frame.columns = pd.Index(names)  # names may repeat
    return frame


def _run_sqlite(database: Database, sql: str) -> Result:
    uri = f"file:{quote(str(database.path.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None)) as connection:
            connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY
            )
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise StoreError("the query must be one SELECT, got nothing")
            return [entry[0] for entry in cursor.description], cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise _refusal(error) from error


def _run_postgresql(database: Database, sql: str) -> Result:
    with database.reading() as connection:
        cursor = cast(Any, connection.connection.driver_connection).cursor()
        try:
            # Only a prepared statement is held to be a single one: a second could end the transaction and write.
            cursor.execute(f"DECLARE nas_query NO SCROLL CURSOR FOR {sql}", prepare=True)
            cursor.execute("FETCH ALL FROM nas_query")
            return [entry[0] for entry in cursor.description], cursor.fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            raise _refusal(error) from error


def _refusal(error: Exception) -> StoreError:
    return StoreError(f"the query must be one SELECT that the database understands: {str(error).split(chr(10))[0]}")


def _series(values: list[Any]) -> pd.Series[Any]:
    """Whole numbers stay whole, and exact, beside NULLs; PostgreSQL sums them to decimals."""
    values = [_number(value) if isinstance(value, Decimal) else value for value in values]
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int} and all(value is None or abs(value) < 2**63 for value in values):
        return pd.Series(values, dtype="Int64")
    return pd.Series(values, dtype="float64" if kinds and kinds <= {int, float} and float in kinds else None)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
