"""Which shape the database has, and how it gets the current one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from nas.store.models import Base
from nas.store.views import VIEWS
from search_spaces.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "nas_version"
"""Not alembic's default, which another program may use in the same database."""
UPGRADE_LOCK = 7_071_067_811


def head() -> str:
    """The revision that this code works with."""
    revision = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert revision is not None
    return revision


def revision(connection: Connection) -> str | None:
    """The revision of the database; None where there is none of ours."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def require_head(connection: Connection) -> None:
    """Check that the database has the shape that this code works with.

    Raises:
        StoreError: it is empty, older or newer.
    """
    found = revision(connection)
    if found is None:
        raise StoreError("the database holds no results; name another one, or run a study to create them")
    _refuse_newer(found)
    if found != head():
        raise StoreError(
            f"the database has revision {found}, older than {head()}, which this version works with: "
            "back it up and run `nas db upgrade`"
        )


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest shape, from whatever it has, or from nothing.

    Raises:
        StoreError: the database is newer than this code, or holds tables of another program.
    """
    if connection.dialect.name == "postgresql":  # two studies may start at once; SQLite locks the whole file
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
    found = revision(connection)
    if found is None:
        _refuse_foreign(connection)
    else:
        _refuse_newer(found)
    if found != head():
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        command.upgrade(config, "head")


def differences(connection: Connection) -> tuple[str, ...]:
    """How the database differs from the models: nothing, unless somebody changed it by hand."""
    options = {
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables,
    }
    context = MigrationContext.configure(connection, opts=options)
    tables = [_sentence(entry) for entry in compare_metadata(context, Base.metadata)]
    missing = sorted(set(VIEWS) - set(inspect(connection).get_view_names()))
    return (*tables, *(f"missing view {name}" for name in missing))


def _refuse_newer(found: str) -> None:
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if found not in known:
        raise StoreError(
            f"the database has revision {found}, which this version does not know; its newest is {head()}: "
            "install the version of depth-nas that wrote the database"
        )


def _refuse_foreign(connection: Connection) -> None:
    clashes = sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
    if clashes:
        raise StoreError(f"the database has tables of another program ({', '.join(clashes)}); name another one")


def _sentence(entry: Any) -> str:
    """An entry of alembic's comparison: a tuple `(what, ..., object)`, or a list of them for one column."""
    if isinstance(entry, list):
        return "; ".join(_sentence(part) for part in entry)
    what, *parts = entry
    return " ".join([what.replace("_", " "), *(str(part) for part in parts if isinstance(part, str))]) + _name(
        parts[-1]
    )


def _name(thing: Any) -> str:
    name = getattr(thing, "name", None)
    return f" {name}" if name else ""
