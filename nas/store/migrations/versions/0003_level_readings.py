"""What is known of a level beside its weight."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns, empty."""
    for name in ("scaled_weight", "level_accuracy", "level_loss", "removal_accuracy", "removal_loss"):
        op.add_column("depth_profiles", sa.Column(name, sa.Double(), nullable=True))
