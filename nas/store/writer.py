"""How each record becomes rows.

A record that contradicts what is stored (a trial that was never started, finished twice, an attempt already lost)
finds no row where it must change one, and that is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Insert, Update

from controllers.cost import Charge, Cost, Unit, total
from controllers.trial import Kind, Status
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
from nas.store.rows import (
    NEW_TRIAL,
    RUN_SCORES,
    architecture_row,
    epoch_row,
    level_rows,
    measurement_row,
    point_rows,
    proposal_row,
)
from nas.store.statements import (
    CHANGE_RUN,
    CHANGE_STUDY,
    CHARGE,
    CHARGE_STORED,
    FINISH_TRIAL,
    KEEP_ARCHITECTURE,
    KEEP_POINT,
    LOSE_TRIAL,
    NOTE,
    PAY,
    PAY_TRIAL,
    REPLACE_ARTIFACT,
    REPLACE_EPOCHS,
    REPLACE_PROFILES,
    SCORE_RUN,
    SPENT,
    START_TRIAL,
    amounts,
    work,
)
from search_spaces.errors import StoreError

NOTHING = Cost()

_Row = dict[str, Any]
_TrialKey = tuple[int, int | None]


class Writer:
    """Writes records of one study, inside a transaction of the caller.

    Rows are collected and written by `flush`, many with one statement: a trial that starts and finishes in one
    transaction is one row and no change. Only a change of what an earlier transaction stored is a statement of its own.
    """

    def __init__(self, connection: Connection, study_id: int) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._study_id = study_id
        self._now = datetime.now(UTC)
        self._spent: dict[int, tuple[Unit, int]] = {}
        self._clear()

    def write(self, record: Record) -> None:
        """Take one record.

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
                self._run_changes[record.run] = record
            case ArtifactSaved():
                row = {"kind": record.kind, "path": record.path, "created_at": self._now}
                self._artifacts.append({**self._key(record.run, record.number), **row})
            case Noted():
                self._note(record.run, record.number, record.kind, record.message)
            case StudyChanged():
                self.flush()
                self._change(CHANGE_STUDY, {"status": record.status.value, "changed_at": self._now}, "entry")

    def flush(self) -> None:
        """Write all that was taken.

        Raises:
            StoreError: it contradicts what is stored.
        """
        self._insert(KEEP_ARCHITECTURE[self._dialect], list(self._architectures.values()))
        self._insert(START_TRIAL, list(self._trials.values()))
        for statement, rows in groupby(self._charges, key=lambda charge: charge[0]):
            self._insert(statement, [row for _, row in rows])
        for (run, account), paid in self._paid.items():
            self._change(PAY[account], {"of_run": run, **amounts(account, paid)}, f"run {run}")
        self._insert(REPLACE_EPOCHS[self._dialect], self._epochs)
        self._insert(REPLACE_PROFILES[self._dialect], self._profiles)
        self._insert(KEEP_POINT, self._points)
        self._insert(REPLACE_ARTIFACT[self._dialect], self._artifacts)
        for change in self._run_changes.values():
            self._change_run(change)
        for run, scores in self._run_scores.items():
            self._change(SCORE_RUN, {"of_run": run, **scores}, f"run {run}")
        self._insert(NOTE, self._notes)
        self._clear()

    def _clear(self) -> None:
        self._architectures: dict[str, _Row] = {}
        self._trials: dict[_TrialKey, _Row] = {}
        self._charges: list[tuple[Insert, _Row]] = []
        self._paid: dict[tuple[int, Account], Cost] = {}
        self._epochs: list[_Row] = []
        self._profiles: list[_Row] = []
        self._points: list[_Row] = []
        self._artifacts: list[_Row] = []
        self._run_changes: dict[int, RunChanged] = {}
        self._run_scores: dict[int, _Row] = {}
        self._notes: list[_Row] = []

    def _start(self, record: TrialStarted) -> None:
        trial, proposal, architecture = record.trial, record.trial.proposal, record.trial.architecture
        if (record.run, trial.number) in self._trials:
            raise StoreError(f"trial {trial.number} of run {record.run} starts twice")
        if architecture is not None and architecture.id not in self._architectures:
            self._architectures[architecture.id] = architecture_row(architecture)
        self._trials[record.run, trial.number] = {
            **NEW_TRIAL,
            **self._key(record.run, trial.number),
            "kind": proposal.kind.value,
            "proposal": proposal_row(proposal),
            "recipe": proposal.recipe,
            "architecture_id": architecture.id if architecture else None,
            "decisions": dict(architecture.decisions) if architecture else None,
            "depth": architecture.depth if architecture else None,
            "epochs_granted": trial.epochs,
            "seed": trial.seed,
            "parent": proposal.parent,
            "account": record.account.value,
            "reserved": record.reserved,
            "started_us": record.clock_us,
            "started_at": self._now,
        }

    def _report(self, record: EpochsReported) -> None:
        key = self._key(record.run, record.number)
        self._epochs += [{**key, **epoch_row(epoch)} for epoch in record.epochs]
        self._profiles += [{**key, **row} for epoch in record.epochs for row in level_rows(epoch)]

    def _lose(self, record: TrialLost) -> None:
        self._charge(record.run, record.number, record.account, record.charges)
        self.flush()  # before the number of the attempt changes
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
            "run_spent": self._spent_by(record.run)[1],
            "reused_from": record.reused_from,
            "finished_us": record.clock_us,
            "finished_at": self._now,
            **(measurement_row(measurement) if measurement else {}),
        }
        what = f"running trial {trial.number} of run {record.run}"
        row = self._trials.get((record.run, trial.number))
        if row is None:
            self._change(FINISH_TRIAL, {**_of(record.run, trial.number), **values}, what)
        elif row["status"] != Status.RUNNING.value:
            raise StoreError(f"study {self._study_id} has no {what}")
        else:
            row |= values
        if measurement is not None and record.reused_from is None:
            key = self._key(record.run, trial.number)
            self._points += [{**key, **point} for point in point_rows(measurement)]
        if trial.proposal.kind is Kind.FINAL and measurement is not None:
            self._run_scores[record.run] = {
                column: measurement.metrics.get(name) for name, column in RUN_SCORES.items()
            }

    def _charge(self, run: int, number: int | None, account: Account, charges: Sequence[Charge]) -> None:
        """Add lines to the ledger, and to the sums that must agree with it."""
        if not charges:
            return
        paid = total(charges)
        self._paid[run, account] = self._paid.get((run, account), NOTHING) + paid
        if account is Account.SEARCH:
            unit, spent = self._spent_by(run)
            self._spent[run] = unit, spent + paid.atoms(unit)
        common = {**self._key(run, number), "account": account.value, "created_at": self._now}
        fresh = self._trials.get((run, number)) if number is not None else None
        if fresh is not None:
            fresh["flops"] += paid.flops
            fresh["device_us"] += paid.device_us
        elif number is not None:
            self._change(PAY_TRIAL, {**_of(run, number), **work(paid)}, f"trial {number} of run {run}")
        statement = CHARGE
        if number is None:
            common["attempt"] = None
        elif fresh is not None:
            common["attempt"] = fresh["attempt"]
        else:
            statement, common = CHARGE_STORED, {**common, "of_study": self._study_id, **_of(run, number)}
        self._charges += [(statement, {**common, "kind": one.kind.value, **vars(one.cost)}) for one in charges]

    def _spent_by(self, run: int) -> tuple[Unit, int]:
        """The unit of a run, and what it has spent with all charges so far."""
        if run not in self._spent:
            row = self._connection.execute(SPENT, {"of_study": self._study_id, "of_run": run}).first()
            if row is None:
                raise StoreError(f"study {self._study_id} has no run {run}")
            self._spent[run] = Unit(row.unit), row.spent
        return self._spent[run]

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
        self._notes.append({**self._key(run, number), **row})

    def _key(self, run: int | None, number: int | None) -> _Row:
        return {"study_id": self._study_id, "run": run, "number": number}

    def _insert(self, statement: Insert, rows: list[_Row]) -> None:
        if rows:
            self._connection.execute(statement, rows)

    def _change(self, statement: Update, values: Mapping[str, Any], what: str) -> None:
        result = self._connection.execute(statement, {"of_study": self._study_id, **values})
        if result.rowcount != 1:
            raise StoreError(f"study {self._study_id} has no {what}")


def _of(run: int, number: int | None) -> dict[str, Any]:
    return {"of_run": run, "of_number": number}
