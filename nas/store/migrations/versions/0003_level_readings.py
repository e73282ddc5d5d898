"""What is known of a level beside its weight."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns, empty."""
    accuracy = ("level_accuracy", "level_loss", "level_doubt", "removal_accuracy", "removal_loss")
    for name in ("scaled_weight", *accuracy):
        op.add_column("depth_profiles", sa.Column(name, sa.Double(), nullable=True))
