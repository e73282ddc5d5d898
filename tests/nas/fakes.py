"""A study without any training: prices, results and accidents made up from seeds, always the same for the same seed.

Spaces, methods, study, runs and ledgers are the real ones.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from controllers.cost import Charge, ChargeKind, Cost, Unit, total
from controllers.seeds import derive_seed
from controllers.trial import SCORE, Epoch, Kind, Measurement
from nas import parse_spec
from nas.plan import Plan
from search_spaces.architecture import canonical_json
from search_spaces.compose import sample
from search_spaces.errors import TrialFailed
from search_spaces.relaxations import RELAXATIONS
from workers import flight
from workers.job import Failure

METHODS = ("fixed", "grid", "random", "evolution", "reinforce", *RELAXATIONS)
PER_STEP = 1_000
"""Least FLOPs of one epoch."""


class FakePricer:
    """An epoch costs 1 to 100 times `PER_STEP`, made up from what is trained; one network in ten has no price."""

    def __init__(self, space, shape, *, time_limit_s=None):
        self.space = space

    def epoch_cost(self, proposal, training):
        what = canonical_json(proposal.architecture.form if proposal.architecture else dict(proposal.relaxation))
        draw = derive_seed(0, what)
        if proposal.architecture and draw % 10 == 0:
            raise TrialFailed("made up to be unbuildable")
        return Cost(flops=(1 + draw % 100) * PER_STEP + training.batch_size, epochs=1)

    def conclusion_cost(self, proposal):
        return Cost()


def fake_plan(monkeypatch, data):
    """The plan of a study file with made-up prices."""
    monkeypatch.setattr("nas.plan.Pricer", FakePricer)
    return Plan(parse_spec(data))


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a worker that survived returns."""

    outcome: Measurement | Failure
    epochs: tuple[Epoch, ...] = ()
    pruned: bool = False


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What a worker that died leaves behind."""

    spent: tuple[Charge, ...]
    kept: tuple[Charge, ...]
    epochs: tuple[Epoch, ...]
    hopeless: bool


@dataclass
class FakeWorkers:
    """Spend what was priced, to the FLOP, unless an accident comes between. Rates are per attempt."""

    plan: Plan
    failing: float = 0.0
    """They break in the middle of a step, or as they are built, which costs nothing."""
    dying: float = 0.0
    pruned: float = 0.0
    slow: bool = False
    """Device time varies threefold, so that it exceeds predictions."""
    trained: list[tuple[int, int]] = field(default_factory=list)
    """Run and number of every attempt."""

    @property
    def careful(self):
        """Whether every trial spends exactly what it has reserved."""
        return self.failing == self.dying == self.pruned == 0 and self.plan.unit is not Unit.DEVICE_SECONDS

    def work(self, run, trial, attempt):
        """What becomes of one attempt: a function of the trial's seed and the number of the attempt."""
        self.trained.append((run, trial.number))
        rng = np.random.default_rng((trial.seed, trial.number, attempt))
        is_final = trial.proposal.kind is Kind.FINAL
        training = self.plan.final_training if is_final else self.plan.spec.training
        epoch_flops = self.plan.prices.pricer.epoch_cost(trial.proposal, training).flops
        us_per_flop = rng.uniform(1, 3) if self.slow else 1
        fate = rng.random()
        resumed = trial.proposal.resumed_epochs
        own = trial.epochs - resumed
        upto = int(rng.integers(own)) if own > 1 else 0

        def charges(epochs, extra_flops=0):
            validation = epoch_flops // 4 * epochs
            training = epoch_flops * epochs - validation + extra_flops
            return (
                Charge(
                    kind=ChargeKind.TRAIN,
                    cost=Cost(
                        flops=training, device_us=round(training * us_per_flop), epochs=epochs + (extra_flops > 0)
                    ),
                ),
                Charge(
                    kind=ChargeKind.VALIDATE, cost=Cost(flops=validation, device_us=round(validation * us_per_flop))
                ),
            )

        def epochs(last):
            return tuple(
                Epoch(
                    number=resumed + number,
                    metrics=_metrics(trial, resumed + number),
                    cost=total(charges(number)),
                    profile=(0.25, 0.75) if trial.proposal.kind is Kind.RELAXATION else (),
                )
                for number in range(max(1, last - 2), last + 1)
            )

        if fate < self.dying:
            kept = charges(upto // 2) if upto // 2 else ()
            return Lost(
                spent=charges(upto) if upto else (),
                kept=kept,
                epochs=epochs(upto) if upto else (),
                hopeless=rng.random() < 0.2,
            )
        if fate < self.dying + self.failing:
            if rng.random() < 0.5:
                return Finished(outcome=Failure(reason="made up to break as it is built"))
            step = int(rng.integers(1, epoch_flops))
            return Finished(
                outcome=Failure(reason="made up to break", charges=charges(upto, step), epochs=resumed + upto),
                epochs=epochs(upto) if upto else (),
            )
        is_pruned = trial.proposal.prunable and upto > 0 and fate < self.dying + self.failing + self.pruned
        last = upto if is_pruned else own
        test = (Charge(kind=ChargeKind.TEST, cost=Cost(flops=epoch_flops // 8)),) if is_final else ()
        measurement = Measurement(
            metrics=_metrics(trial, resumed + last) | ({"retrained_test_accuracy": 0.5} if is_final else {}),
            charges=(*charges(last), *test),
            epochs=resumed + last,
            num_parameters=derive_seed(1, trial.seed) % 1000,
            inference_flops=epoch_flops // 3,
            derived=_derived(self.plan.space, rng) if trial.proposal.kind is Kind.RELAXATION else (),
        )
        return Finished(outcome=measurement, epochs=epochs(last), pruned=is_pruned)


def oldest(flying):
    return 0


def drive(driver, workers, *, pick=oldest):
    """Turn a driver's crank to the end of its study; `pick` says which of the trials in flight comes back next."""
    flying = []
    while True:
        while (assignment := driver.next()) is not None:
            flying.append(assignment)
        if driver.done:
            assert not flying
            return
        assignment = flying.pop(pick(flying))
        key = (assignment.run, assignment.number)
        run = driver.study.runs[assignment.run]
        trial, attempt = run.pending[assignment.number], run.attempts.get(assignment.number, 0)
        if trial.proposal.resumed_epochs:
            check_parent(assignment.job)
        came = workers.work(assignment.run, trial, attempt)
        if came.epochs:
            driver.report(*key, came.epochs[:1])
        if isinstance(came, Finished):
            if not isinstance(came.outcome, Failure):
                flight.save_tensors(assignment.job.folder / flight.WEIGHTS, {"seed": torch.tensor(trial.seed)})
                if trial.proposal.resumable:
                    leave_checkpoint(assignment.job, came.outcome.epochs)
            driver.finish(*key, came.outcome, came.epochs[1:], pruned=came.pruned)
        else:
            flight.write_charges(assignment.job.folder / flight.PROGRESS, came.spent)
            flight.write_charges(assignment.job.folder / flight.KEPT, came.kept)
            if came.hopeless:
                flight.write_hung(assignment.job.folder, "hung")
            driver.lose(*key, "the worker process died")


def leave_checkpoint(job, epochs):
    """What a worker leaves of a trial that others may go on from."""
    flight.save_tensors(job.folder / flight.CHECKPOINT, {"seed": torch.tensor(job.seed), "epochs": epochs})


def check_parent(job):
    """Whether the checkpoint that a trial is to go on from is there, and is of the same training."""
    state = flight.load_tensors(job.parent_folder / flight.CHECKPOINT, torch.device("cpu"))
    assert (int(state["seed"]), state["epochs"]) == (job.seed, job.proposal.resumed_epochs)


def _metrics(trial, epoch):
    # Rounded, so that equal scores occur.
    return {SCORE: round(np.random.default_rng((trial.seed, trial.number, epoch)).random(), 1), "train_loss": 1 / epoch}


def _derived(space, rng):
    return tuple(dict.fromkeys(sample(space, rng) for _ in range(4)))
