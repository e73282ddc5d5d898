"""When a trial started and finished on the simulated clock of its run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, empty."""
    # Not in a batch, which would copy the table: both databases can add a column to one that others point to.
    for name in ("started_us", "finished_us"):
        op.add_column("trials", sa.Column(name, sa.BigInteger(), nullable=True))
