"""How alembic runs the migrations: inside the caller's transaction, and with the views out of the way.

To write the next migration, change `nas/store/models.py` and let alembic compare it with a database of the
newest revision, any that `nas db upgrade` has made:

    nas db upgrade --db sqlite:///scratch.db
    alembic -c nas/store/migrations/alembic.ini -x db=sqlite:///scratch.db revision --autogenerate \
        --rev-id 0002 -m "what changes"

Then read what it wrote, and correct it: it sees columns and constraints, not data.
"""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.types import TypeDecorator

from nas.store.migrate import VERSION_TABLE
from nas.store.models import Base
from nas.store.views import create_views, drop_views


def render_item(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Write the type that the database sees, so that a migration never changes with the code."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


def run(connection: Connection) -> None:
    """Run what the command asks for."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",  # where a column changes only by copying its table
        render_item=render_item,
    )
    with context.begin_transaction():
        drop_views(connection)
        context.run_migrations()
        create_views(connection)


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["db"]).begin() as own:
        run(own)
