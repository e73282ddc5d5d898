"""The tables of the results database.

Keys are natural: a study's id, a run's position in the study, a trial's number in the run. So whoever records
a trial knows its key beforehand, and every table joins with the next one by columns of the same name.

Compute is counted in whole numbers of 64 bits (at most 9.2e18 FLOPs), because sums must be exact. Times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from nas.records import Account

MAX_AMOUNT = 2**63 - 1


class Utc(TypeDecorator[datetime]):
    """A time with its zone, which SQLite alone would forget."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None if dialect.name == "sqlite" else UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


Amount = Annotated[int, "atoms of compute, or a seed"]
Serial = Annotated[int, "position in the order of insertion"]

JsonType = JSON(none_as_null=True)


def _counts(*columns: str) -> tuple[CheckConstraint, ...]:
    """For sums: SQLite turns one beyond 64 bits into a rounded number without a word."""
    return tuple(CheckConstraint(f"{column} BETWEEN 0 AND {MAX_AMOUNT}", name=column) for column in columns)


class Base(DeclarativeBase):
    """Fixes the types of the columns and the names of the constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        int: Integer(),
        float: Double(),
        str: Text(),
        Amount: BigInteger(),
        Serial: BigInteger().with_variant(Integer(), "sqlite"),  # SQLite numbers rows only in an INTEGER key
        dict[str, Any]: JsonType,
        list[Any]: JsonType,
        datetime: Utc(),
    }


class StudyRow(Base):
    """One comparison that a user submitted."""

    __tablename__ = "studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    spec: Mapped[dict[str, Any]]
    spec_hash: Mapped[str]
    versions: Mapped[dict[str, Any]]
    host: Mapped[str]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    """Last change of the status."""


class RunRow(Base):
    """One method with one seed."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint("spent BETWEEN 0 AND budget", name="within_budget"),
        *_counts(*(f"{account}_{work}" for account in Account for work in ("flops", "device_us"))),
    )

    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), primary_key=True)
    run: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str]
    method: Mapped[str]
    options: Mapped[dict[str, Any]]
    seed: Mapped[Amount]
    unit: Mapped[str]
    budget: Mapped[Amount]
    """In atoms of the unit: FLOPs, microseconds, epochs or trials."""
    spent: Mapped[Amount] = mapped_column(default=0)
    """Sum of the charges on the search account, in atoms of the unit."""
    search_flops: Mapped[Amount] = mapped_column(default=0)
    search_device_us: Mapped[Amount] = mapped_column(default=0)
    final_flops: Mapped[Amount] = mapped_column(default=0)
    final_device_us: Mapped[Amount] = mapped_column(default=0)
    overshoot_flops: Mapped[Amount] = mapped_column(default=0)
    overshoot_device_us: Mapped[Amount] = mapped_column(default=0)
    phase: Mapped[str]
    stop_reason: Mapped[str] = mapped_column(default="")
    choice: Mapped[int | None]
    """Number of the trial whose model the run delivers; the next three columns describe it."""
    depth: Mapped[int | None]
    num_parameters: Mapped[Amount | None]
    inference_flops: Mapped[Amount | None]
    delivered_val_accuracy: Mapped[float | None]
    delivered_test_accuracy: Mapped[float | None]
    retrained_val_accuracy: Mapped[float | None]
    retrained_test_accuracy: Mapped[float | None]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    """Last change of the phase."""


class ArchitectureRow(Base):
    """A network, stored once however often it is tried."""

    __tablename__ = "architectures"

    id: Mapped[str] = mapped_column(primary_key=True)
    """Hash of the text of `form`."""
    depth: Mapped[int]
    form: Mapped[dict[str, Any]]
    """Canonical JSON: sorted keys, no spaces."""


class TrialRow(Base):
    """One thing trained and scored inside a run."""

    __tablename__ = "trials"
    __table_args__ = (
        ForeignKeyConstraint(["study_id", "run"], ["runs.study_id", "runs.run"]),
        UniqueConstraint("study_id", "finish_order"),
        *_counts("flops", "device_us"),
    )

    study_id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    architecture_id: Mapped[str | None] = mapped_column(ForeignKey("architectures.id"))
    decisions: Mapped[dict[str, Any] | None]
    """How the search asked for the architecture, in the order of asking."""
    proposal: Mapped[dict[str, Any]]
    """The rest of what the controller proposed."""
    recipe: Mapped[str]
    depth: Mapped[int | None]
    num_parameters: Mapped[Amount | None]
    inference_flops: Mapped[Amount | None]
    epochs_granted: Mapped[int]
    epochs_trained: Mapped[int | None]
    seed: Mapped[Amount]
    parent: Mapped[int | None]
    """Number of the trial whose weights this one started from."""
    account: Mapped[str]
    reserved: Mapped[Amount]
    attempt: Mapped[int] = mapped_column(default=0)
    """Times that a worker died under it."""
    val_accuracy: Mapped[float | None]
    val_loss: Mapped[float | None]
    train_loss: Mapped[float | None]
    metrics: Mapped[dict[str, Any] | None]
    measurement: Mapped[dict[str, Any] | None]
    """All that the controller was told, metrics included: what a replay tells it again."""
    flops: Mapped[Amount] = mapped_column(default=0)
    """Sum of the trial's charges, as is `device_us`."""
    device_us: Mapped[Amount] = mapped_column(default=0)
    finish_order: Mapped[int | None]
    """Position among all trials that the study finished."""
    run_spent: Mapped[Amount | None]
    """What the run had spent when the trial was finished, this trial included."""
    reused_from: Mapped[int | None]
    started_us: Mapped[Amount | None]
    """When it started on the simulated clock of its run; NULL on real workers. So is `finished_us`."""
    finished_us: Mapped[Amount | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


def _trial_key() -> ForeignKeyConstraint:
    key = ("study_id", "run", "number")
    return ForeignKeyConstraint(key, [f"trials.{column}" for column in key])


class EpochRow(Base):
    """What a trial reported after one epoch; the cost is the trial's up to then."""

    __tablename__ = "epochs"
    __table_args__ = (_trial_key(),)

    study_id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    val_accuracy: Mapped[float | None]
    val_loss: Mapped[float | None]
    train_loss: Mapped[float | None]
    metrics: Mapped[dict[str, Any]]
    flops: Mapped[Amount]
    device_us: Mapped[Amount]
    epochs: Mapped[int]
    trials: Mapped[int]


class DepthProfileRow(Base):
    """A relaxation's weight of one level after one epoch, and what else is known of that level then."""

    __tablename__ = "depth_profiles"
    __table_args__ = (
        ForeignKeyConstraint(
            ["study_id", "run", "number", "epoch"],
            ["epochs.study_id", "epochs.run", "epochs.number", "epochs.epoch"],
        ),
    )

    study_id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    weight: Mapped[float]
    scaled_weight: Mapped[float | None]
    """Its size times the root mean square of the level's hidden state on validation data."""
    level_accuracy: Mapped[float | None]
    """On validation data, with all weight on this level; so is `level_loss`."""
    level_loss: Mapped[float | None]
    level_doubt: Mapped[float | None]
    """Standard error of how far `level_accuracy` lies behind the best level's, on the same examples."""
    removal_accuracy: Mapped[float | None]
    """On validation data, without this level; so is `removal_loss`."""
    removal_loss: Mapped[float | None]


class OperatingPointRow(Base):
    """A trained network that chooses its depth per input, at one of its settings."""

    __tablename__ = "operating_points"
    __table_args__ = (_trial_key(),)

    study_id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str]
    """`own`: the weights that the trial trained; `delivered`: in a final trial, those that the run delivers."""
    split: Mapped[str]
    """`validation`, on which the setting was chosen, or `test`, where it was applied."""
    setting: Mapped[str]
    thresholds: Mapped[list[Any]]
    """In the units of the network's rule; null: one that no input reaches."""
    shares: Mapped[list[Any]]
    """Of the inputs, by the exit that they take, or by the blocks that they execute."""
    mean_flops: Mapped[float]
    """Of inference, per input, with exits and gates."""
    accuracy: Mapped[float]
    latency_ms_batch1: Mapped[float | None]
    """Milliseconds per input, one by one, on the worker's device; measured on test data alone, as is the next."""
    latency_ms_batch256: Mapped[float | None]


class ChargeRow(Base):
    """One line of the ledger. Lines are added, never changed."""

    __tablename__ = "charges"
    __table_args__ = (
        ForeignKeyConstraint(["study_id", "run"], ["runs.study_id", "runs.run"]),
        _trial_key(),
        Index(None, "study_id", "run", "number"),
    )

    id: Mapped[Serial] = mapped_column(primary_key=True)
    study_id: Mapped[int]
    run: Mapped[int]
    number: Mapped[int | None]
    attempt: Mapped[int | None]
    kind: Mapped[str]
    account: Mapped[str]
    flops: Mapped[Amount]
    device_us: Mapped[Amount]
    epochs: Mapped[int]
    trials: Mapped[int]
    created_at: Mapped[datetime]


class ArtifactRow(Base):
    """Where the latest file of a kind lies."""

    __tablename__ = "artifacts"
    __table_args__ = (_trial_key(),)

    study_id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str]
    created_at: Mapped[datetime]


class EventRow(Base):
    """Something that happened. Lines are added, never changed."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "study_id"),)

    id: Mapped[Serial] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"))
    run: Mapped[int | None]
    number: Mapped[int | None]
    kind: Mapped[str]
    message: Mapped[str]
    created_at: Mapped[datetime]
