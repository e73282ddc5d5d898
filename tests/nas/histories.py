"""A short study, written down by hand: what happened, for tests of whatever stores or reads it."""

from __future__ import annotations

from dataclasses import replace

from controllers.cost import Charge, ChargeKind, Cost, Unit
from controllers.trial import Epoch, Kind, Measurement, Proposal, Status, Trial
from nas.records import (
    Account,
    EpochsReported,
    Phase,
    Record,
    RunChanged,
    RunPlan,
    TrialFinished,
    TrialLost,
    TrialStarted,
)
from search_spaces.architecture import Architecture

HUGE = 2**53 + 1
"""The first whole number that a float cannot hold."""


def plan(index: int = 0, *, unit: Unit = Unit.FLOPS, budget: int = 2**60, label: str = "random") -> RunPlan:
    return RunPlan(
        index=index, label=label, method="random", options={"b": 1, "a": [2.5]}, seed=7, unit=unit, budget=budget
    )


def architecture(depth: int) -> Architecture:
    return Architecture(
        depth=depth, form={"width": 8, "blocks": ["ünder"] * depth}, decisions={"depth": depth, "bias": True}
    )


def started(number: int, *, depth: int = 2, kind: Kind = Kind.ARCHITECTURE) -> Trial:
    of = {"relaxation": {"name": "darts"}} if kind is Kind.RELAXATION else {"architecture": architecture(depth)}
    return Trial(number=number, proposal=Proposal(kind=kind, **of), epochs=3, seed=2**63 - 1 - number)


def charge(flops: int, kind: ChargeKind = ChargeKind.TRAIN) -> Charge:
    return Charge(kind=kind, cost=Cost(flops=flops, device_us=2 * flops, epochs=1, trials=1))


def measurement(val_accuracy: float, **others: float) -> Measurement:
    return Measurement(
        metrics={"val_accuracy": val_accuracy, **others},
        charges=(charge(5),),
        epochs=3,
        num_parameters=30,
        inference_flops=60,
    )


def finished(trial: Trial, val_accuracy: float | None, *, status: str = "complete", **others: float) -> Trial:
    """With this score, or FAILED."""
    if val_accuracy is None:
        return replace(trial, status=Status.FAILED, reason="out of memory")
    return replace(trial, status=Status(status), measurement=measurement(val_accuracy, **others))


def start(run: int, trial: Trial, *, reserved: int = 100, account: Account = Account.SEARCH) -> TrialStarted:
    return TrialStarted(run=run, trial=trial, reserved=reserved, account=account)


def finish(
    run: int,
    trial: Trial,
    order: int,
    *charges: Charge,
    account: Account = Account.SEARCH,
    reused_from: int | None = None,
) -> TrialFinished:
    return TrialFinished(run=run, trial=trial, charges=charges, account=account, order=order, reused_from=reused_from)


def search(run: int, number: int, order: int, score: float | None, flops: int, **of: object) -> list[Record]:
    """One trial from its start to its end."""
    trial = started(number, **of)
    return [start(run, trial), finish(run, finished(trial, score), order, charge(flops))]


def lost(run: int, number: int, attempt: int, *charges: Charge) -> TrialLost:
    return TrialLost(
        run=run,
        number=number,
        attempt=attempt,
        epochs=2,
        reserved=90,
        charges=charges,
        account=Account.SEARCH,
        reason="node died",
    )


def epoch(number: int, *, profile: tuple[float, ...] = ()) -> Epoch:
    cost = Cost(flops=HUGE * number, device_us=number, epochs=number, trials=0)
    return Epoch(number=number, metrics={"val_accuracy": number / 10, "lr": 0.1}, cost=cost, profile=profile)


def report(run: int, number: int, *epochs: Epoch) -> EpochsReported:
    return EpochsReported(run=run, number=number, epochs=epochs)


def chose(run: int, choice: int | None, phase: Phase = Phase.SEARCHING, stop_reason: str = "") -> RunChanged:
    return RunChanged(run=run, phase=phase, stop_reason=stop_reason, choice=choice)
