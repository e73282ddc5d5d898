"""The results database: a few methods that take and return values, one transaction each."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import pandas as pd
from sqlalchemy import insert, select

from nas.records import Phase, Record, RunPlan, StoredStudy, StudyStatus, StudySummary
from nas.store import migrate
from nas.store.database import Database
from nas.store.frames import read_frame
from nas.store.models import MAX_AMOUNT, RunRow, StudyRow
from nas.store.query import run_query
from nas.store.reader import find_study, read_study, read_summaries
from nas.store.writer import Writer
from search_spaces.architecture import ID_CHARACTERS, canonical_json
from search_spaces.errors import StoreError


def open_store(url: str, *, create: bool = True) -> Store:
    """The store behind a URL such as `sqlite:///nas.db` or `postgresql://user:password@host/database`.

    Args:
        url: a file, or a database on a server.
        create: whether to create the tables in an empty database, and an SQLite file with them. If so, the
            database must be writable.

    Raises:
        StoreError: it cannot be reached, read or (with `create`) written, or its shape is not this version's.
    """
    database = Database(url, create=create)
    try:
        if create:
            with database.writing("open") as connection:
                if migrate.revision(connection) is None:
                    migrate.upgrade(connection)
        with database.reading("open") as connection:
            migrate.require_head(connection)
    except StoreError:
        database.close()
        raise
    return Store(database)


def upgrade_store(url: str) -> str:
    """Bring an existing database to the newest shape.

    Returns:
        The revision that it now has.

    Raises:
        StoreError: as in `open_store`.
    """
    database = Database(url, create=False)
    try:
        with database.writing("upgrade the tables") as connection:
            migrate.upgrade(connection)
    finally:
        database.close()
    return migrate.head()


class Store:
    """An open results database. Use it in a `with` statement, or close it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self._database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def create_study(
        self, name: str, spec: Mapping[str, Any], plans: Sequence[RunPlan], versions: Mapping[str, str]
    ) -> int:
        """Store a new study and its runs.

        Args:
            name: no other study's.
            spec: the study file, in JSON types.
            plans: one for each run.
            versions: of everything that the results may depend on, by name.

        Returns:
            The study's id.

        Raises:
            StoreError: the name is taken, or a budget is beyond what can be counted.
        """
        for plan in plans:
            if not 0 <= plan.budget <= MAX_AMOUNT:
                raise StoreError(
                    f"the budget of run {plan.label} must be between 0 and {MAX_AMOUNT}, got {plan.budget}"
                )
        now = datetime.now(UTC)
        study = {
            "name": name,
            "status": StudyStatus.RUNNING.value,
            "spec": dict(spec),
            "spec_hash": hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:ID_CHARACTERS],
            "versions": dict(versions),
            "host": platform.node(),
            "created_at": now,
            "changed_at": now,
        }
        with self._database.writing(f"store study {name!r}") as connection:
            if connection.execute(select(StudyRow.id).where(StudyRow.name == name)).first() is not None:
                raise StoreError(f"a study's name must be its own, and there is already one called {name!r}")
            study_id = connection.execute(insert(StudyRow).returning(StudyRow.id), study).scalar_one()
            if plans:
                connection.execute(insert(RunRow), [_run_row(study_id, plan, now) for plan in plans])
        return study_id

    def record(self, study_id: int, records: Iterable[Record]) -> None:
        """Store what happened, in the order given: all of it, or nothing.

        Raises:
            StoreError: it cannot be written, or contradicts what is stored.
        """
        with self._database.writing(f"record results of study {study_id}") as connection:
            writer = Writer(connection, study_id)
            for record in records:
                writer.write(record)
            writer.flush()

    def load(self, study: str | int) -> StoredStudy:
        """Everything about the study with this name or id.

        Raises:
            StoreError: there is none.
        """
        with self._database.reading() as connection:
            return read_study(connection, find_study(connection, study))

    def studies(self) -> tuple[StudySummary, ...]:
        """All studies, oldest first."""
        with self._database.reading() as connection:
            return read_summaries(connection)

    def frame(self, name: str, study: str | int | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table or a view: all of it, or what belongs to the study with this name or id.

        Args:
            name: of the table or view.
            study: a name or an id; default: all studies.
            columns: which, in which order; default: all.

        Raises:
            StoreError: there is no such table, view, study or column.
        """
        with self._database.reading() as connection:
            return read_frame(connection, name, None if study is None else find_study(connection, study), columns)

    def query(self, sql: str) -> pd.DataFrame:
        """The rows that one SELECT returns. Nothing can be changed by it.

        Raises:
            StoreError: it is not one SELECT, or the database refuses it.
        """
        return run_query(self._database, sql)

    def check(self) -> tuple[str, ...]:
        """How the database differs from the schema that this code works with; empty when it does not."""
        with self._database.reading() as connection:
            return migrate.differences(connection)


def _run_row(study_id: int, plan: RunPlan, now: datetime) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "run": plan.index,
        "label": plan.label,
        "method": plan.method,
        "options": dict(plan.options),
        "seed": plan.seed,
        "unit": plan.unit.value,
        "budget": plan.budget,
        "phase": Phase.SEARCHING.value,
        "created_at": now,
        "changed_at": now,
    }
