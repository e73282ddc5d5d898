"""How each record becomes rows, with no question asked before a write.

A record that contradicts what is stored (a trial that was never started, finished twice, an attempt already lost)
finds no row where it must change one, and that is an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Insert, Update

from controllers.cost import Charge, total
from controllers.trial import SCORE, Epoch, Kind, Measurement, Proposal
from nas.records import (
    Account,
    ArtifactSaved,
    Charged,
    EpochsReported,
    Noted,
    Record,
    RunChanged,
    StudyChanged,
    TrialFinished,
    TrialLost,
    TrialStarted,
)
from nas.store.statements import (
    CHANGE_RUN,
    CHANGE_STUDY,
    CHARGE,
    FINISH_TRIAL,
    KEEP_ARCHITECTURE,
    LOSE_TRIAL,
    NOTE,
    PAY,
    PAY_TRIAL,
    REPLACE_ARTIFACT,
    REPLACE_EPOCHS,
    REPLACE_PROFILES,
    SCORE_RUN,
    START_TRIAL,
    amounts,
)
from search_spaces.architecture import Architecture, canonical_json
from search_spaces.errors import StoreError
from search_spaces.values import dump

RUN_SCORES = {
    "delivered_val_accuracy": "delivered_val_accuracy",
    "delivered_test_accuracy": "delivered_test_accuracy",
    SCORE: "retrained_val_accuracy",
    "retrained_test_accuracy": "retrained_test_accuracy",
}
"""Metrics of the final trial, and the columns of its run that they fill."""


class Writer:
    """Writes records of one study, inside a transaction of the caller."""

    def __init__(self, connection: Connection, study_id: int) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._study_id = study_id
        self._now = datetime.now(UTC)

    def write(self, record: Record) -> None:
        """Store one record.

        Raises:
            StoreError: it contradicts what is stored.
        """
        match record:
            case TrialStarted():
                self._start(record)
            case EpochsReported():
                self._report(record)
            case TrialLost():
                self._lose(record)
            case TrialFinished():
                self._finish(record)
            case Charged():
                self._charge(record.run, record.number, record.account, record.charges)
            case RunChanged():
                self._change_run(record)
            case ArtifactSaved():
                row = {"kind": record.kind, "path": record.path, "created_at": self._now}
                self._insert(REPLACE_ARTIFACT[self._dialect], [{**self._key(record.run, record.number), **row}])
            case Noted():
                self._note(record.run, record.number, record.kind, record.message)
            case StudyChanged():
                self._change(CHANGE_STUDY, {"status": record.status.value, "changed_at": self._now}, "entry")

    def _start(self, record: TrialStarted) -> None:
        trial, proposal, architecture = record.trial, record.trial.proposal, record.trial.architecture
        row: dict[str, Any] = {
            "kind": proposal.kind.value,
            "status": trial.status.value,
            "proposal": _dump_without_architecture(proposal),
            "recipe": proposal.recipe,
            "architecture_id": None,
            "decisions": None,
            "depth": None,
            "epochs_granted": trial.epochs,
            "seed": trial.seed,
            "parent": proposal.parent,
            "account": record.account.value,
            "reserved": record.reserved,
            "started_at": self._now,
        }
        if architecture is not None:
            self._insert(KEEP_ARCHITECTURE[self._dialect], [_architecture_row(architecture)])
            row |= {
                "architecture_id": architecture.id,
                "decisions": dict(architecture.decisions),
                "depth": architecture.depth,
            }
        self._insert(START_TRIAL, [{**self._key(record.run, trial.number), **row}])

    def _report(self, record: EpochsReported) -> None:
        key = self._key(record.run, record.number)
        rows = [{**key, **_epoch_row(epoch)} for epoch in record.epochs]
        weights = [
            {**key, "epoch": epoch.number, "level": level, "weight": weight}
            for epoch in record.epochs
            for level, weight in enumerate(epoch.profile)
        ]
        self._insert(REPLACE_EPOCHS[self._dialect], rows)
        self._insert(REPLACE_PROFILES[self._dialect], weights)

    def _lose(self, record: TrialLost) -> None:
        self._charge(record.run, record.number, record.account, record.charges)
        what = f"running attempt {record.attempt} of trial {record.number} of run {record.run}"
        grant = {"epochs_granted": record.epochs, "reserved": record.reserved}
        self._change(LOSE_TRIAL, {**_of(record.run, record.number), "of_attempt": record.attempt, **grant}, what)
        self._note(record.run, record.number, "trial_lost", record.reason)

    def _finish(self, record: TrialFinished) -> None:
        trial, measurement = record.trial, record.trial.measurement
        self._charge(record.run, trial.number, record.account, record.charges)
        values = {
            "status": trial.status.value,
            "reason": trial.reason,
            "finish_order": record.order,
            "reused_from": record.reused_from,
            "finished_at": self._now,
            **(_measurement_row(measurement) if measurement else {}),
        }
        what = f"running trial {trial.number} of run {record.run}"
        self._change(FINISH_TRIAL, {**_of(record.run, trial.number), **values}, what)
        if trial.proposal.kind is Kind.FINAL and measurement is not None:
            scores = {column: measurement.metrics.get(name) for name, column in RUN_SCORES.items()}
            self._change(SCORE_RUN, {"of_run": record.run, **scores}, f"run {record.run}")

    def _charge(self, run: int, number: int | None, account: Account, charges: Sequence[Charge]) -> None:
        """Add lines to the ledger, and to the sums that must agree with it."""
        if not charges:
            return
        paid = amounts(account, total(tuple(charges)))
        self._change(PAY[account], {"of_run": run, **paid}, f"run {run}")
        if number is not None:
            work = {name: paid[name] for name in ("by_flops", "by_device_us")}
            self._change(PAY_TRIAL, {**_of(run, number), **work}, f"trial {number} of run {run}")
        common = {**self._key(run, number), "of_study": self._study_id, **_of(run, number)}
        common |= {"account": account.value, "created_at": self._now}
        self._insert(CHARGE, [{**common, "kind": charge.kind.value, **asdict(charge.cost)} for charge in charges])

    def _change_run(self, record: RunChanged) -> None:
        values = {
            "phase": record.phase.value,
            "stop_reason": record.stop_reason,
            "choice": record.choice,
            "changed_at": self._now,
        }
        self._change(CHANGE_RUN, {**_of(record.run, record.choice), **values}, f"run {record.run}")

    def _note(self, run: int | None, number: int | None, kind: str, message: str) -> None:
        row = {"kind": kind, "message": message, "created_at": self._now}
        self._insert(NOTE, [{**self._key(run, number), **row}])

    def _key(self, run: int | None, number: int | None) -> dict[str, Any]:
        return {"study_id": self._study_id, "run": run, "number": number}

    def _insert(self, statement: Insert, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._connection.execute(statement, rows)

    def _change(self, statement: Update, values: Mapping[str, Any], what: str) -> None:
        result = self._connection.execute(statement, {"of_study": self._study_id, **values})
        if result.rowcount != 1:
            raise StoreError(f"study {self._study_id} has no {what}")


def _of(run: int, number: int | None) -> dict[str, Any]:
    return {"of_run": run, "of_number": number}


def _dump_without_architecture(proposal: Proposal) -> dict[str, Any]:
    """The proposal; its architecture has columns of its own."""
    row = dump(replace(proposal, architecture=None))
    del row["architecture"]
    return row


def _architecture_row(architecture: Architecture) -> dict[str, Any]:
    form = json.loads(canonical_json(architecture.form))  # the order of the keys is part of the hashed text
    return {"id": architecture.id, "depth": architecture.depth, "form": form}


def _measurement_row(measurement: Measurement) -> dict[str, Any]:
    return {
        "measurement": dump(measurement),
        "epochs_trained": measurement.epochs,
        "num_parameters": measurement.num_parameters,
        "inference_flops": measurement.inference_flops,
        **_scores(measurement.metrics),
    }


def _epoch_row(epoch: Epoch) -> dict[str, Any]:
    return {"epoch": epoch.number, **_scores(epoch.metrics), **asdict(epoch.cost)}


def _scores(metrics: Mapping[str, float]) -> dict[str, Any]:
    """All metrics, and again those that have columns of their own."""
    return {
        "metrics": dict(metrics),
        "val_accuracy": metrics.get(SCORE),
        "val_loss": metrics.get("val_loss"),
        "train_loss": metrics.get("train_loss"),
    }
