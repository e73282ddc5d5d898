"""Studies that can be compared: as many methods and seeds as one likes, and what each run found, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controllers.cost import Unit
from controllers.trial import Kind
from nas.records import Account, Phase, Record, RunPlan, StudyChanged, StudyStatus
from nas.store import Store
from tests.nas.histories import charge, chose, finish, finished, start, started

COST = 100
"""FLOPs of training one network."""
SPEC = {"task": {"name": "spiral"}, "space": {"family": "mlp", "depth": [1, 2, 3, 4]}, "training": {"epochs": 2}}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one run did: a network after another, and the test accuracies of the last one."""

    networks: Sequence[tuple[int, float]] = ((2, 0.5),)
    """Depth and validation accuracy; a network of depth d takes 10 d FLOPs per input, a supernet has depth 0."""
    delivered: float = 0.5
    retrained: float = 0.5


def accuracies(*of_runs: float) -> list[Found]:
    """Runs with these accuracies throughout."""
    return [Found(networks=((2, score),), delivered=score, retrained=score) for score in of_runs]


def store_runs(
    store: Store,
    name: str,
    methods: Mapping[str, Sequence[Found]],
    *,
    seeds: Sequence[int] | None = None,
    budget: int = 4 * COST,
    unit: Unit = Unit.FLOPS,
    budgets: Mapping[str, int] | None = None,
    **spec: Any,
) -> None:
    """Store a study.

    Args:
        store: where.
        name: of the study.
        methods: what the runs of each label found, by seed.
        seeds: of the runs; default: 0, 1, ...
        budget: of every run, in atoms of the unit.
        unit: of all budgets.
        budgets: others, by label.
        spec: fields that differ from `SPEC`.
    """
    runs = [
        (label, seed, found)
        for label, of_label in methods.items()
        for seed, found in zip(seeds or range(len(of_label)), of_label, strict=True)
    ]
    plans = [
        RunPlan(
            index=index,
            label=label,
            method=label,
            options={},
            seed=seed,
            unit=unit,
            budget=(budgets or {}).get(label, budget),
        )
        for index, (label, seed, _) in enumerate(runs)
    ]
    study_id = store.create_study(name, {**SPEC, "methods": list(methods), "name": name, **spec}, plans, {})
    order = 0
    for index, (_, _, found) in enumerate(runs):
        store.record(study_id, _history(index, found, order))
        order += len(found.networks) + 1
    store.record(study_id, [StudyChanged(status=StudyStatus.COMPLETE)])


def _history(run: int, found: Found, order: int) -> list[Record]:
    records: list[Record] = []
    for number, (depth, score) in enumerate(found.networks):
        kind = Kind.ARCHITECTURE if depth else Kind.RELAXATION
        trial = started(number, depth=depth, kind=kind)
        records += [start(run, trial), finish(run, _sized(finished(trial, score), depth), order + number, charge(COST))]
    last, (depth, score) = len(found.networks), found.networks[-1]
    final = started(last, depth=depth, kind=Kind.FINAL)
    test = {"delivered_test_accuracy": found.delivered, "retrained_test_accuracy": found.retrained}
    done = _sized(finished(final, score, **test), depth)
    return [
        *records,
        chose(run, last - 1, Phase.FINAL, "budget spent"),
        start(run, final, account=Account.FINAL),
        finish(run, done, order + last, charge(7), account=Account.FINAL),
        chose(run, last - 1, Phase.DONE, "budget spent"),
    ]


def _sized(trial: Any, depth: int) -> Any:
    return replace(trial, measurement=replace(trial.measurement, inference_flops=10 * depth))
