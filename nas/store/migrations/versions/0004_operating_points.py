"""Networks that choose their depth per input, at each of their settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table, empty."""
    key = ("study_id", "run", "number")
    json = sa.JSON(none_as_null=True)
    op.create_table(
        "operating_points",
        *(sa.Column(name, sa.Integer(), nullable=False) for name in (*key, "position")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("model", "split", "setting")),
        *(sa.Column(name, json, nullable=False) for name in ("thresholds", "shares")),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("mean_flops", "accuracy")),
        *(sa.Column(f"latency_ms_batch{size}", sa.Double(), nullable=True) for size in (1, 256)),
        sa.PrimaryKeyConstraint(*key, "position", name="pk_operating_points"),
        sa.ForeignKeyConstraint(key, [f"trials.{name}" for name in key], name="fk_operating_points_trials"),
    )
