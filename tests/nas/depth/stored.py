"""Studies of depth written down by hand: what was trained at which depth, and what the supernets reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from controllers.cost import Cost, Unit
from controllers.trial import Epoch, Kind, Measurement, Proposal, Status, Trial
from nas.records import Account, EpochsReported, Record, RunPlan, StudyChanged, StudyStatus
from nas.store import Store
from search_spaces.readings import LEVEL_ACCURACY, LEVEL_LOSS, REMOVAL_ACCURACY, REMOVAL_LOSS, SCALED_WEIGHT
from tests.nas.histories import architecture, charge, chose, finish, start

EPOCHS = 2
"""Of an ordinary training."""
SPEC = {
    "task": {"name": "digits"},
    "space": {"family": "mlp", "depth": {"min": 1, "max": 4}},
    "training": {"epochs": EPOCHS},
}


@dataclass(frozen=True, kw_only=True)
class Net:
    """One trial of a network."""

    depth: int
    score: float | None
    """None: it failed."""
    epochs: int = EPOCHS
    status: str = "complete"
    seed: int | None = None
    """Of the trial; none: its own."""
    proposal: Mapping[str, Any] = field(default_factory=dict)
    """Fields that are not an ordinary training's."""
    reused_from: int | None = None


@dataclass(frozen=True, kw_only=True)
class Super:
    """One trial of a supernet: for every epoch its weights, and its readings by name."""

    relaxation: str
    epochs: Sequence[tuple[Sequence[float], Mapping[str, Sequence[float]]]]
    status: str = "complete"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the relaxation."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: its trials, and which of them it chose."""

    label: str
    seed: int
    trials: Sequence[Net | Super]
    choice: int | None = None


def readings(*values: Sequence[float]) -> dict[str, Sequence[float]]:
    """What answers are read from, of one epoch: scaled weight, level accuracy and loss, removal accuracy and loss."""
    names = (SCALED_WEIGHT, LEVEL_ACCURACY, LEVEL_LOSS, REMOVAL_ACCURACY, REMOVAL_LOSS)
    return dict(zip(names, values, strict=True))


def grid(seed: int, scores: Mapping[int, float], label: str = "grid") -> Run:
    """One ordinary training for every depth."""
    return Run(label=label, seed=seed, trials=[Net(depth=depth, score=score) for depth, score in scores.items()])


def store_runs(store: Store, name: str, runs: Sequence[Run], **spec: Any) -> None:
    """Store a study with these runs; `spec` are fields that differ from `SPEC`."""
    plans = [
        RunPlan(
            index=index, label=run.label, method=run.label, options={}, seed=run.seed, unit=Unit.FLOPS, budget=10**6
        )
        for index, run in enumerate(runs)
    ]
    study_id = store.create_study(name, {**SPEC, "name": name, **spec}, plans, {})
    order = 0
    for index, run in enumerate(runs):
        for number, made in enumerate(run.trials):
            store.record(study_id, list(_history(index, number, order, run.seed, made)))
            order += 1
        if run.choice is not None:
            store.record(study_id, [chose(index, run.choice)])
    store.record(study_id, [StudyChanged(status=StudyStatus.COMPLETE)])


def _history(run: int, number: int, order: int, run_seed: int, made: Net | Super) -> Sequence[Record]:
    trial = _started(number, run_seed, made)
    account = Account.of(trial)
    ended = _finish(trial, made)
    reports = []
    if isinstance(made, Super):
        reports = [
            EpochsReported(
                run=run,
                number=number,
                epochs=tuple(
                    Epoch(
                        number=epoch,
                        metrics={"val_accuracy": 0.1},
                        cost=Cost(flops=epoch, epochs=epoch),
                        profile=tuple(weights),
                        readings={name: tuple(values) for name, values in of_levels.items()},
                    )
                    for epoch, (weights, of_levels) in enumerate(made.epochs, start=1)
                ),
            )
        ]
    reused = made.reused_from if isinstance(made, Net) else None
    return [
        start(run, trial, account=account),
        *reports,
        finish(run, ended, order, charge(1), account=account, reused_from=reused),
    ]


def _started(number: int, run_seed: int, made: Net | Super) -> Trial:
    if isinstance(made, Super):
        proposal = Proposal(kind=Kind.RELAXATION, relaxation={"name": made.relaxation, **made.options}, recipe="joint")
        return Trial(number=number, proposal=proposal, epochs=len(made.epochs), seed=1000 * run_seed + number)
    proposal = replace(Proposal(architecture=architecture(made.depth)), **made.proposal)
    seed = 1000 * run_seed + number if made.seed is None else made.seed
    return Trial(number=number, proposal=proposal, epochs=made.epochs, seed=seed)


def _finish(trial: Trial, made: Net | Super) -> Trial:
    score = made.score if isinstance(made, Net) else 0.1
    if score is None or made.status == Status.FAILED:
        return replace(trial, status=Status.FAILED, reason="out of memory")
    measurement = Measurement(
        metrics={"val_accuracy": score},
        charges=(charge(1),),
        epochs=trial.epochs,
        num_parameters=1,
        inference_flops=1,
    )
    return replace(trial, status=Status(made.status), measurement=measurement)
