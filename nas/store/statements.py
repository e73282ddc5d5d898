"""The statements that write, built once so that SQLAlchemy finds them compiled.

Parameters named `of_...` say which row, `by_...` how much more; all others are the columns to set.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, BindParameter, Insert, Update, bindparam, case, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute

from controllers.cost import Cost, Unit
from controllers.trial import Status
from nas.records import Account
from nas.store.models import (
    ArchitectureRow,
    ArtifactRow,
    Base,
    ChargeRow,
    DepthProfileRow,
    EpochRow,
    EventRow,
    OperatingPointRow,
    RunRow,
    StudyRow,
    TrialRow,
)

_STUDY: BindParameter[int] = bindparam("of_study")
_THE_RUN = (RunRow.study_id == _STUDY, RunRow.run == bindparam("of_run"))
_THE_TRIAL = (
    TrialRow.study_id == _STUDY,
    TrialRow.run == bindparam("of_run"),
    TrialRow.number == bindparam("of_number"),
)
_RUNNING = (*_THE_TRIAL, TrialRow.status == Status.RUNNING.value)


def _of_trial(column: InstrumentedAttribute[Any]) -> Any:
    return select(column).where(*_THE_TRIAL).scalar_subquery()


def _amount(name: str) -> BindParameter[int]:
    return bindparam(f"by_{name}", type_=BigInteger())


def _pay(account: Account) -> Update:
    """Add to what a run paid from an account; from the search account also in the unit of its budget."""
    flops, device_us = (RunRow.__table__.c[f"{account}_{name}"] for name in ("flops", "device_us"))
    statement = update(RunRow).where(*_THE_RUN)
    statement = statement.values({flops: flops + _amount("flops"), device_us: device_us + _amount("device_us")})
    if account is not Account.SEARCH:
        return statement
    in_unit = {
        Unit.FLOPS: _amount("flops"),
        Unit.DEVICE_SECONDS: _amount("device_us"),
        Unit.EPOCHS: _amount("epochs"),
        Unit.TRIALS: _amount("trials"),
    }
    atoms = case({unit.value: amount for unit, amount in in_unit.items()}, value=RunRow.unit)
    return statement.values(spent=RunRow.spent + atoms)


CHANGE_STUDY = update(StudyRow).where(StudyRow.id == _STUDY)
CHANGE_RUN = (
    update(RunRow)
    .where(*_THE_RUN)
    .values({name: _of_trial(getattr(TrialRow, name)) for name in ("depth", "num_parameters", "inference_flops")})
)
SCORE_RUN = update(RunRow).where(*_THE_RUN)

START_TRIAL = insert(TrialRow)
LOSE_TRIAL = (
    update(TrialRow).where(*_RUNNING, TrialRow.attempt == bindparam("of_attempt")).values(attempt=TrialRow.attempt + 1)
)
FINISH_TRIAL = update(TrialRow).where(*_RUNNING)
SPENT = select(RunRow.unit, RunRow.spent).where(*_THE_RUN)

PAY = {account: _pay(account) for account in Account}
PAY_TRIAL = (
    update(TrialRow)
    .where(*_THE_TRIAL)
    .values(flops=TrialRow.flops + _amount("flops"), device_us=TrialRow.device_us + _amount("device_us"))
)
CHARGE = insert(ChargeRow)
CHARGE_STORED = insert(ChargeRow).values(attempt=_of_trial(TrialRow.attempt))
"""For a trial whose current attempt only the database knows."""
NOTE = insert(EventRow)
KEEP_POINT = insert(OperatingPointRow)


def amounts(account: Account, cost: Cost) -> dict[str, int]:
    """The parameters of `PAY`."""
    rest = {"by_epochs": cost.epochs, "by_trials": cost.trials} if account is Account.SEARCH else {}
    return {**work(cost), **rest}


def work(cost: Cost) -> dict[str, int]:
    """The parameters of `PAY_TRIAL`."""
    return {"by_flops": cost.flops, "by_device_us": cost.device_us}


def _keep(row: type[Base]) -> dict[str, Insert]:
    """Insert unless it is there."""
    return {
        "sqlite": sqlite.insert(row).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(row).on_conflict_do_nothing(),
    }


def _replace(row: type[Base]) -> dict[str, Insert]:
    """Insert, or replace what is there."""
    key = list(row.__table__.primary_key)
    rest = [column.name for column in row.__table__.columns if column not in key]
    one, other = sqlite.insert(row), postgresql.insert(row)
    return {
        "sqlite": one.on_conflict_do_update(index_elements=key, set_={name: one.excluded[name] for name in rest}),
        "postgresql": other.on_conflict_do_update(
            index_elements=key, set_={name: other.excluded[name] for name in rest}
        ),
    }


KEEP_ARCHITECTURE = _keep(ArchitectureRow)
REPLACE_EPOCHS = _replace(EpochRow)
REPLACE_PROFILES = _replace(DepthProfileRow)
REPLACE_ARTIFACT = _replace(ArtifactRow)
