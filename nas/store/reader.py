"""How rows become the values that a study is continued from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, select

from controllers.cost import Cost, Unit
from controllers.trial import Epoch, Measurement, Proposal, Status, Trial
from nas.records import Account, Phase, RunPlan, StoredRun, StoredStudy, StoredTrial, StudyStatus, StudySummary
from nas.store.models import ArchitectureRow, ChargeRow, DepthProfileRow, EpochRow, RunRow, StudyRow, TrialRow
from nas.store.rows import readings
from search_spaces.architecture import Architecture
from search_spaces.errors import StoreError
from search_spaces.values import load

_COST = ("flops", "device_us", "epochs", "trials")


def find_study(connection: Connection, study: str | int) -> int:
    """The id of the study with this name, or with this number as its id.

    Raises:
        StoreError: there is none.
    """
    query = select(StudyRow.name, StudyRow.id).order_by(StudyRow.id)
    names: dict[str | int, int] = {row.name: row.id for row in connection.execute(query)}
    if study in names:
        return names[study]
    if str(study).isdecimal() and int(study) in names.values():
        return int(study)
    raise StoreError(f"there is no study {study!r}; the database holds: {', '.join(map(str, names)) or 'none'}")


def read_summaries(connection: Connection) -> tuple[StudySummary, ...]:
    """All studies, oldest first."""
    runs = select(func.count()).where(RunRow.study_id == StudyRow.id).scalar_subquery()
    trials = select(func.count()).where(TrialRow.study_id == StudyRow.id).scalar_subquery()
    query = select(StudyRow, runs.label("num_runs"), trials.label("num_trials")).order_by(StudyRow.id)
    return tuple(
        StudySummary(
            id=row.id,
            name=row.name,
            status=StudyStatus(row.status),
            created_at=row.created_at,
            num_runs=row.num_runs,
            num_trials=row.num_trials,
        )
        for row in connection.execute(query)
    )


def read_study(connection: Connection, study_id: int) -> StoredStudy:
    """Everything about one study."""
    study = connection.execute(select(StudyRow).where(StudyRow.id == study_id)).one()
    paid = _read_paid(connection, study_id)
    trials = _read_trials(connection, study_id)
    runs = connection.execute(select(RunRow).where(RunRow.study_id == study_id).order_by(RunRow.run))
    return StoredStudy(
        id=study.id,
        name=study.name,
        spec=study.spec,
        status=StudyStatus(study.status),
        versions=study.versions,
        runs=tuple(
            StoredRun(
                plan=_plan(row),
                phase=Phase(row.phase),
                stop_reason=row.stop_reason,
                choice=row.choice,
                paid={account: paid.get((row.run, account), Cost()) for account in Account},
                trials=tuple(trials[row.run]),
            )
            for row in runs
        ),
    )


def _read_paid(connection: Connection, study_id: int) -> Mapping[tuple[int, Account], Cost]:
    """Sums over the charges themselves, not the sums kept beside them."""
    sums = [func.sum(getattr(ChargeRow, name)).label(name) for name in _COST]
    query = (
        select(ChargeRow.run, ChargeRow.account, *sums)
        .where(ChargeRow.study_id == study_id)
        .group_by(ChargeRow.run, ChargeRow.account)
    )
    return {(row.run, Account(row.account)): _cost(row) for row in connection.execute(query)}


def _read_trials(connection: Connection, study_id: int) -> Mapping[int, list[StoredTrial]]:
    epochs = _read_epochs(connection, study_id)
    query = (
        select(TrialRow, ArchitectureRow.form)
        .outerjoin(ArchitectureRow, ArchitectureRow.id == TrialRow.architecture_id)
        .where(TrialRow.study_id == study_id)
        .order_by(TrialRow.run, TrialRow.number)
    )
    trials = defaultdict(list)
    for row in connection.execute(query):
        trials[row.run].append(
            StoredTrial(
                run=row.run,
                trial=_trial(row),
                account=Account(row.account),
                reserved=row.reserved,
                attempt=row.attempt,
                epochs=tuple(epochs[row.run, row.number]),
                order=row.finish_order,
                started_us=row.started_us,
                finished_us=row.finished_us,
                reused_from=row.reused_from,
            )
        )
    return trials


def _read_epochs(connection: Connection, study_id: int) -> Mapping[tuple[int, int], list[Epoch]]:
    profiles = defaultdict(list)
    levels = select(DepthProfileRow).where(DepthProfileRow.study_id == study_id).order_by(DepthProfileRow.level)
    for level in connection.execute(levels):
        profiles[level.run, level.number, level.epoch].append(level)
    epochs = defaultdict(list)
    for row in connection.execute(select(EpochRow).where(EpochRow.study_id == study_id).order_by(EpochRow.epoch)):
        of_epoch = profiles.get((row.run, row.number, row.epoch), [])
        epoch = Epoch(
            number=row.epoch,
            metrics=row.metrics,
            cost=_cost(row),
            profile=tuple(level.weight for level in of_epoch),
            readings=readings(of_epoch),
        )
        epochs[row.run, row.number].append(epoch)
    return epochs


def _plan(row: Row[Any]) -> RunPlan:
    return RunPlan(
        index=row.run,
        label=row.label,
        method=row.method,
        options=row.options,
        seed=row.seed,
        unit=Unit(row.unit),
        budget=row.budget,
    )


def _trial(row: Row[Any]) -> Trial:
    proposal = load(Proposal, row.proposal)
    if row.architecture_id is not None:
        architecture = Architecture(depth=row.depth, form=row.form, decisions=row.decisions)
        proposal = replace(proposal, architecture=architecture)
    return Trial(
        number=row.number,
        proposal=proposal,
        epochs=row.epochs_granted,
        seed=row.seed,
        status=Status(row.status),
        measurement=None if row.measurement is None else load(Measurement, row.measurement),
        reason=row.reason,
    )


def _cost(row: Row[Any]) -> Cost:
    """PostgreSQL sums 64-bit numbers to decimals."""
    return Cost(**{name: int(getattr(row, name)) for name in _COST})
