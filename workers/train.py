"""Train and score one job. No Ray, no database, no global state.

The way of a trial: build, load a parent's weights or a checkpoint, then per epoch every phase of the recipe on every
batch, one validation pass and one report, and last whatever the trained network alone can show. Data order and dropout
of an epoch depend only on the trial's seed and the epoch's number, so a trial resumed from a checkpoint is the trial
that would have been; and one that goes on from the checkpoint of its parent, whose seed it has, is the longer trial
that its parent would have been.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from controllers.cost import Charge, ChargeKind
from controllers.seeds import derive_seed
from controllers.trial import SCORE, TEMPERATURE, Epoch, Kind, Measurement
from search_spaces import make_space
from search_spaces.architecture import canonical_json
from search_spaces.errors import TrialFailed
from search_spaces.flops import inference_flops
from search_spaces.operating_points import MeasuredPoint, Model
from search_spaces.readings import Readings
from search_spaces.relaxations.relaxation import Annealed, Bayesian, Concluding, Probed, Supernet
from search_spaces.values import dump, load
from workers import flight
from workers.batches import Batches, num_joining
from workers.build import build_network, start_from
from workers.evaluate import BATCH_SIZE, Evaluation, evaluate, evaluate_levels
from workers.job import Failure, Job, Outcome
from workers.meter import Meter
from workers.operating_points import has_points, operating_points
from workers.recipes import Recipe, make_recipe
from workers.step_names import pass_name, step_namer
from workers.tasks import SearchData, Split, make_task

Report = Callable[[Epoch, Measurement], None]
"""Called after every epoch with the measurement as it would be if the trial ended there."""

CACHED_TASKS = 2
TIME_MARGIN = 1.25
"""An epoch may take this much longer than the one before; clocks, unlike FLOPs, are noisy."""


def run(job: Job, *, device: torch.device, report: Report) -> Outcome:
    """Train `job`, or say why it cannot be trained.

    This is the one place where a broken network becomes data: whatever it raises, and NaN, is a Failure that carries
    what it has cost. An OSError is the infrastructure's and propagates.
    """
    meter = Meter(device, max_flops=job.max_flops)
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            return Trainer(job, meter=meter, report=report).train()
    except OSError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, TrialFailed) else f"{type(error).__name__}: {error}"
        return Failure(reason=reason, charges=meter.charges(), epochs=meter.total().epochs)


@lru_cache(maxsize=CACHED_TASKS)
def resident_data(task: str, device: torch.device) -> SearchData:
    """Search data of the task (canonical JSON) on `device`, loaded once per process."""
    return make_task(json.loads(task)).load().to(device)


class Trainer:
    """One trial under way."""

    def __init__(self, job: Job, *, meter: Meter, report: Report) -> None:
        self.job = job
        self.meter = meter
        self.report = report
        self.data = resident_data(canonical_json(job.task), meter.device)
        self.space = make_space(
            job.space,
            input_shape=self.data.input_shape,
            num_classes=self.data.num_classes,
            num_tokens=self.data.num_tokens,
        )
        self.network = self._build()
        self.batches = self._batches()
        self.recipe: Recipe = make_recipe(
            job.proposal.recipe,
            self.network,
            job.proposal.recipe_options,
            training=job.training,
            num_steps=self._schedule_epochs * len(self.batches),
        )
        self.inference_flops = 0
        self._flops_of_mixtures: dict[Hashable, int] = {}
        self.epochs: list[Epoch] = []

    @property
    def trained(self) -> int:
        """Epochs that the network has been trained for."""
        return self.epochs[-1].number if self.epochs else self.job.proposal.resumed_epochs

    @property
    def _schedule_epochs(self) -> int:
        """What schedules span: longer than the trial where another may go on from it."""
        return self.job.proposal.schedule_epochs or self.job.epochs

    def train(self) -> Measurement:
        """Run every epoch that was granted, then measure.

        Raises:
            TrialFailed: the loss is not finite, or one epoch costs more than was granted for all.
        """
        self._restore()
        self._record_progress()  # an earlier attempt may have left more than the checkpoint keeps
        for epoch in self.epochs:
            self.report(epoch, self._measurement(epoch))  # again: nobody knows which reports arrived
        checkpointed_at = time.monotonic()
        while self.trained < self.job.epochs and self._affords_another():
            epoch = self._epoch(self.trained)
            self.epochs.append(epoch)
            self._record_progress()
            if self.job.folder is not None and time.monotonic() - checkpointed_at >= self.job.checkpoint_s:
                self._checkpoint()
                checkpointed_at = time.monotonic()
            self.report(epoch, self._measurement(epoch))
        return self._conclude(self.epochs[-1])

    def _batches(self) -> Batches:
        batch_size, data = self.job.training.batch_size, self.data
        train_size = min(batch_size, len(data.train))
        joining = num_joining(self.network, train_size=train_size, available=data.num_unlabelled)
        return Batches(data, batch_size=batch_size, seed=self.job.seed, num_unlabelled=joining)

    def _build(self) -> nn.Module:
        job, proposal = self.job, self.job.proposal
        network = build_network(proposal, self.space, seed=job.seed).to(self.meter.device)
        if isinstance(network, Bayesian):
            network.begin(self.data.train.y.numel())
        if job.parent_folder is not None and proposal.kind is not Kind.FINAL and not proposal.resumed_epochs:
            parent = flight.load_tensors(job.parent_folder / flight.WEIGHTS, self.meter.device)
            start_from(network, proposal, self.space, parent)
        return network

    def _epoch(self, number: int) -> Epoch:
        self._seed_generators(derive_seed(self.job.seed, "train", number))
        self.meter.count_epoch()  # first: an epoch that breaks is one all the same
        if isinstance(self.network, Annealed):
            self.network.anneal(number / self._schedule_epochs)
        train_loss = self._train(number)
        calibrate = self.job.proposal.calibrate and number + 1 == self.job.epochs
        scored, readings = self._validate(calibrate=calibrate)
        temperature = {} if scored.temperature is None else {TEMPERATURE: scored.temperature}
        return Epoch(
            number=number + 1,
            metrics={SCORE: scored.accuracy, "val_loss": scored.loss, "train_loss": train_loss, **temperature},
            cost=self.meter.total(),
            profile=self.network.profile() if isinstance(self.network, Supernet) else (),
            readings=readings,
        )

    def _validate(self, *, calibrate: bool) -> tuple[Evaluation, Readings]:
        validation, network = self.data.validation, self.network
        if isinstance(network, Probed):
            scored, readings = evaluate_levels(network, validation, kind=ChargeKind.VALIDATE, meter=self.meter)
            self.inference_flops = self._mixture_flops(pass_name("forward", network))
            return scored, readings
        scored = evaluate(network, validation, kind=ChargeKind.VALIDATE, meter=self.meter, calibrate=calibrate)
        size = min(BATCH_SIZE, len(validation))
        self.inference_flops = self.meter.flops(pass_name("forward", network), size) // size
        return scored, {}

    def _mixture_flops(self, name: Hashable) -> int:
        """Inference FLOPs of a supernet, whose validation pass does more than infer; counted once for each size."""
        if name not in self._flops_of_mixtures:
            self._flops_of_mixtures[name] = inference_flops(self.network, self.data.input_shape)
        return self._flops_of_mixtures[name]

    def _seed_generators(self, seed: int) -> None:
        """Like `torch.manual_seed`, which spends a millisecond on devices that are not there."""
        torch.default_generator.manual_seed(seed)
        if self.meter.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _train(self, number: int) -> float:
        """One pass over the training data; returns the mean loss. Device time goes to the recipe's last phase."""
        self.network.train()
        phases = self.recipe.phases(number)
        repeated = [phase for phase in phases if not phase.once]
        losses = torch.zeros((), device=self.meter.device)
        with self.meter.clock(phases[-1].kind):
            reads_validation = any(phase.reads_validation for phase in phases)
            name = step_namer(self.network)
            for train, validation in self.batches.epoch(number, with_validation=reads_validation):
                for phase in phases:
                    loss = self.meter.step(name(phase), phase.kind, phase.step, train, validation)
                losses += loss
                phases = repeated
            mean_loss = losses.item() / len(self.batches)
        if not math.isfinite(mean_loss):
            raise TrialFailed(f"training loss must be finite, got {mean_loss} in epoch {number + 1}")
        return mean_loss

    def _affords_another(self) -> bool:
        """Whether the grant of device time pays for another epoch of the mean duration so far."""
        if not self.epochs or self.job.max_device_us is None:
            return True
        spent_us = self.meter.total().device_us
        return spent_us + TIME_MARGIN * spent_us / len(self.epochs) <= self.job.max_device_us

    def _measurement(self, epoch: Epoch) -> Measurement:
        return Measurement(
            metrics=epoch.metrics,
            charges=self.meter.charges(),
            epochs=epoch.number,
            num_parameters=sum(parameter.numel() for parameter in self.network.parameters()),
            inference_flops=self.inference_flops,
            profile=epoch.profile,
            readings=epoch.readings,
        )

    def _conclude(self, epoch: Epoch) -> Measurement:
        measurement = self._measurement(epoch)
        if self.job.proposal.kind is Kind.FINAL:
            metrics, points = self._test()
            metrics = {**measurement.metrics, **metrics}
            return replace(measurement, metrics=metrics, points=points, charges=self.meter.charges())
        if self.job.folder is not None:
            if self.job.proposal.resumable:
                self._checkpoint()
            flight.save_tensors(self.job.folder / flight.WEIGHTS, self.network.state_dict())
        if isinstance(self.network, Supernet):
            if isinstance(self.network, Concluding) and self.job.proposal.kind is Kind.RELAXATION:
                self.network.conclude(self._score)
            measurement = replace(measurement, derived=self.network.derive(measurement.readings))
        return replace(measurement, points=self._points("own"), charges=self.meter.charges())

    def _score(self) -> tuple[float, float]:
        """Validation accuracy and negative loss of a supernet that is making up its mind."""
        scored = evaluate(self.network, self.data.validation, kind=ChargeKind.ARCHITECTURE, meter=self.meter)
        return scored.accuracy, -scored.loss

    def _test(self) -> tuple[dict[str, float], tuple[MeasuredPoint, ...]]:
        """The one reading of test data: the retrained network and the delivered one, side by side."""
        test = make_task(self.job.task).load_test().to(self.meter.device)
        retrained = evaluate(self.network, test, kind=ChargeKind.TEST, meter=self.meter)
        points = self._points("own", test)
        assert self.job.parent_folder is not None, "a final trial is given the delivered model"
        weights = flight.load_tensors(self.job.parent_folder / flight.WEIGHTS, self.meter.device)
        self.network.load_state_dict(weights)
        delivered = evaluate(self.network, test, kind=ChargeKind.TEST, meter=self.meter)
        validated = evaluate(self.network, self.data.validation, kind=ChargeKind.VALIDATE, meter=self.meter)
        metrics = {
            "retrained_test_accuracy": retrained.accuracy,
            "delivered_test_accuracy": delivered.accuracy,
            "delivered_val_accuracy": validated.accuracy,
        }
        return metrics, (*points, *self._points("delivered", test))

    def _points(self, model: Model, test: Split | None = None) -> tuple[MeasuredPoint, ...]:
        """Operating points with the present weights; none where the network treats all inputs alike."""
        validation, network = self.data.validation, self.network
        if not has_points(network, self.job.proposal, self.data.label_shape):
            return ()
        return operating_points(network, model=model, validation=validation, test=test, meter=self.meter)

    def _record_progress(self) -> None:
        if self.job.folder is not None:
            flight.write_charges(self.job.folder / flight.PROGRESS, self.meter.charges())

    def _checkpoint(self) -> None:
        assert self.job.folder is not None
        state = {
            "epochs": [dump(epoch) for epoch in self.epochs],
            "charges": [dump(charge) for charge in self.meter.charges()],
            "inference_flops": self.inference_flops,
            "network": self.network.state_dict(),
            "recipe": self.recipe.state_dict(),
        }
        flight.save_tensors(self.job.folder / flight.CHECKPOINT, state)
        flight.write_charges(self.job.folder / flight.KEPT, self.meter.charges())

    def _restore(self) -> None:
        """Go back to the last checkpoint, or to the end of the parent, if there is one."""
        if self.job.folder is not None and (self.job.folder / flight.CHECKPOINT).exists():
            state = self._load(self.job.folder / flight.CHECKPOINT)
            self.meter.resume(tuple(load(Charge, charge) for charge in state["charges"]))
            self.epochs = [load(Epoch, epoch) for epoch in state["epochs"]]
        elif self.job.proposal.resumed_epochs:
            self._resume_parent()

    def _resume_parent(self) -> None:
        """Go on where the parent stopped; its charges and its epochs stay its own.

        Raises:
            TrialFailed: its checkpoint is not there. Training from scratch would be another trial, at another price.
        """
        proposal, folder = self.job.proposal, self.job.parent_folder
        if folder is None or not (folder / flight.CHECKPOINT).exists():
            raise TrialFailed(f"cannot go on from trial {proposal.parent}: its checkpoint is gone")
        trained = self._load(folder / flight.CHECKPOINT)["epochs"][-1]["number"]
        if trained != proposal.resumed_epochs:
            raise TrialFailed(
                f"cannot go on from trial {proposal.parent} after {proposal.resumed_epochs} epochs: "
                f"its checkpoint has {trained}"
            )

    def _load(self, path: Path) -> dict[str, Any]:
        state = flight.load_tensors(path, self.meter.device)
        self.network.load_state_dict(state["network"])
        self.recipe.load_state_dict(state["recipe"])
        self.inference_flops = state["inference_flops"]
        return state
