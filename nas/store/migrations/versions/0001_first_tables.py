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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_architectures")),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("name", name=op.f("uq_studies_name")),
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
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_events_studies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
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
        sa.CheckConstraint("final_device_us BETWEEN 0 AND 9223372036854775807", name=op.f("ck_runs_final_device_us")),
        sa.CheckConstraint("final_flops BETWEEN 0 AND 9223372036854775807", name=op.f("ck_runs_final_flops")),
        sa.CheckConstraint(
            "overshoot_device_us BETWEEN 0 AND 9223372036854775807", name=op.f("ck_runs_overshoot_device_us")
        ),
        sa.CheckConstraint("overshoot_flops BETWEEN 0 AND 9223372036854775807", name=op.f("ck_runs_overshoot_flops")),
        sa.CheckConstraint("search_device_us BETWEEN 0 AND 9223372036854775807", name=op.f("ck_runs_search_device_us")),
        sa.CheckConstraint("search_flops BETWEEN 0 AND 9223372036854775807", name=op.f("ck_runs_search_flops")),
        sa.CheckConstraint("spent BETWEEN 0 AND budget", name=op.f("ck_runs_within_budget")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_runs_studies")),
        sa.PrimaryKeyConstraint("study_id", "run", name=op.f("pk_runs")),
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
        sa.CheckConstraint("device_us BETWEEN 0 AND 9223372036854775807", name=op.f("ck_trials_device_us")),
        sa.CheckConstraint("flops BETWEEN 0 AND 9223372036854775807", name=op.f("ck_trials_flops")),
        sa.ForeignKeyConstraint(["architecture_id"], ["architectures.id"], name=op.f("fk_trials_architectures")),
        sa.ForeignKeyConstraint(["study_id", "run"], ["runs.study_id", "runs.run"], name=op.f("fk_trials_runs")),
        sa.PrimaryKeyConstraint("study_id", "run", "number", name=op.f("pk_trials")),
        sa.UniqueConstraint("study_id", "finish_order", name=op.f("uq_trials_study_id_finish_order")),
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
            name=op.f("fk_artifacts_trials"),
        ),
        sa.PrimaryKeyConstraint("study_id", "run", "number", "kind", name=op.f("pk_artifacts")),
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
            ["study_id", "run", "number"],
            ["trials.study_id", "trials.run", "trials.number"],
            name=op.f("fk_charges_trials"),
        ),
        sa.ForeignKeyConstraint(["study_id", "run"], ["runs.study_id", "runs.run"], name=op.f("fk_charges_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
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
            ["study_id", "run", "number"],
            ["trials.study_id", "trials.run", "trials.number"],
            name=op.f("fk_epochs_trials"),
        ),
        sa.PrimaryKeyConstraint("study_id", "run", "number", "epoch", name=op.f("pk_epochs")),
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
            name=op.f("fk_depth_profiles_epochs"),
        ),
        sa.PrimaryKeyConstraint("study_id", "run", "number", "epoch", "level", name=op.f("pk_depth_profiles")),
    )
