"""The tables as they were at first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "architectures",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("form", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_architectures"),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.Column("versions", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sa.UniqueConstraint("name", name="uq_studies_name"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_events_studies"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_study_id", "events", ["study_id"])

    op.create_table(
        "runs",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("search_flops", sa.BigInteger(), nullable=False),
        sa.Column("search_device_us", sa.BigInteger(), nullable=False),
        sa.Column("final_flops", sa.BigInteger(), nullable=False),
        sa.Column("final_device_us", sa.BigInteger(), nullable=False),
        sa.Column("overshoot_flops", sa.BigInteger(), nullable=False),
        sa.Column("overshoot_device_us", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("stop_reason", sa.Text(), nullable=False),
        sa.Column("choice", sa.Integer(), nullable=True),
        sa.Column("depth", sa.Integer(), nullable=True),
        sa.Column("num_parameters", sa.BigInteger(), nullable=True),
        sa.Column("inference_flops", sa.BigInteger(), nullable=True),
        sa.Column("delivered_val_accuracy", sa.Double(), nullable=True),
        sa.Column("delivered_test_accuracy", sa.Double(), nullable=True),
        sa.Column("retrained_val_accuracy", sa.Double(), nullable=True),
        sa.Column("retrained_test_accuracy", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_runs_studies"),
        sa.PrimaryKeyConstraint("study_id", "run", name="pk_runs"),
    )
    op.create_table(
        "trials",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("architecture_id", sa.Text(), nullable=True),
        sa.Column("decisions", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("proposal", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=True),
        sa.Column("num_parameters", sa.BigInteger(), nullable=True),
        sa.Column("inference_flops", sa.BigInteger(), nullable=True),
        sa.Column("epochs_granted", sa.Integer(), nullable=False),
        sa.Column("epochs_trained", sa.Integer(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("val_accuracy", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("measurement", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("flops", sa.BigInteger(), nullable=False),
        sa.Column("device_us", sa.BigInteger(), nullable=False),
        sa.Column("finish_order", sa.Integer(), nullable=True),
        sa.Column("run_spent", sa.BigInteger(), nullable=True),
        sa.Column("reused_from", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["architecture_id"], ["architectures.id"], name="fk_trials_architectures"),
        sa.ForeignKeyConstraint(["study_id", "run"], ["runs.study_id", "runs.run"], name="fk_trials_runs"),
        sa.PrimaryKeyConstraint("study_id", "run", "number", name="pk_trials"),
        sa.UniqueConstraint("study_id", "finish_order", name="uq_trials_study_id_finish_order"),
    )
    op.create_table(
        "artifacts",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "run", "number"],
            ["trials.study_id", "trials.run", "trials.number"],
            name="fk_artifacts_trials",
        ),
        sa.PrimaryKeyConstraint("study_id", "run", "number", "kind", name="pk_artifacts"),
    )
    op.create_table(
        "charges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("flops", sa.BigInteger(), nullable=False),
        sa.Column("device_us", sa.BigInteger(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("trials", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "run", "number"], ["trials.study_id", "trials.run", "trials.number"], name="fk_charges_trials"
        ),
        sa.ForeignKeyConstraint(["study_id", "run"], ["runs.study_id", "runs.run"], name="fk_charges_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_charges"),
    )
    op.create_index("ix_charges_study_id_run_number", "charges", ["study_id", "run", "number"])

    op.create_table(
        "epochs",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("val_accuracy", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("flops", sa.BigInteger(), nullable=False),
        sa.Column("device_us", sa.BigInteger(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("trials", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "run", "number"], ["trials.study_id", "trials.run", "trials.number"], name="fk_epochs_trials"
        ),
        sa.PrimaryKeyConstraint("study_id", "run", "number", "epoch", name="pk_epochs"),
    )
    op.create_table(
        "depth_profiles",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "run", "number", "epoch"],
            ["epochs.study_id", "epochs.run", "epochs.number", "epochs.epoch"],
            name="fk_depth_profiles_epochs",
        ),
        sa.PrimaryKeyConstraint("study_id", "run", "number", "epoch", "level", name="pk_depth_profiles"),
    )
