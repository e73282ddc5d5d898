"""The values that pass between a controller, a worker and the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from controllers.cost import Charge, Cost, total
from search_spaces.architecture import Architecture
from search_spaces.errors import TrialFailed
from search_spaces.operating_points import MeasuredPoint
from search_spaces.readings import Readings

SCORE = "val_accuracy"
"""The metric that selection maximises. Test data never enters it."""

TEMPERATURE = "temperature"
"""The metric of a trial that was calibrated: by it, logits would have to be divided (Guo et al., ICML 2017)."""

AS_LONG_AS_PAID = 1_000_000
"""As `Proposal.epochs`: train for as long as the budget pays."""


class Kind(StrEnum):
    """What a trial trains."""

    ARCHITECTURE = "architecture"
    """One network, proposed by the search."""
    RELAXATION = "relaxation"
    """A supernet over the whole space, proposed by the search."""
    CONTINUATION = "continuation"
    """The run's choice, trained further with what the search left of the budget."""
    FINAL = "final"
    """The run's choice under the final protocol, on a separate account; the only reader of test data."""


class Status(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What a controller asks for."""

    kind: Kind = Kind.ARCHITECTURE
    architecture: Architecture | None = None
    """The network to train; None for a supernet."""
    relaxation: Mapping[str, Any] = field(default_factory=dict)
    """The supernet to train: `{name: NAME, **fields}`. Empty for an architecture."""
    deliverable: bool = False
    """Whether the supernet itself may be what the run delivers."""
    recipe: str = "standard"
    recipe_options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    """Epochs that the network has been trained for when the trial ends; None: as many as the study trains every
    trial."""
    min_epochs: int | None = None
    """Fewest epochs accepted when the budget does not pay for all; None: all or nothing."""
    budget_share: float | None = None
    """Largest part of the run's whole budget that this trial may take, or `min_epochs` if those cost more."""
    parent: int | None = None
    """Number of the trial of the same run whose weights this one starts from."""
    inherits: Mapping[str, Any] = field(default_factory=dict)
    """How the weights of `parent` become those of another network: the fields of an `Inheritance`, or what an `Heir`
    needs to know. Empty: it is the same network."""
    keep: bool = False
    """Whether the weights are kept while the run searches, because later trials may inherit them."""
    calibrate: bool = False
    """Whether the last epoch also measures the `TEMPERATURE` at which validation loss is least, for later trials."""
    resumed_epochs: int = 0
    """Epochs that `parent` has trained, if this trial goes on where that one stopped: with its weights, optimizer,
    schedule, seed and epoch count. Only the epochs beyond are trained and paid. 0: a training of its own."""
    schedule_epochs: int | None = None
    """Epochs that the learning-rate schedule spans, never fewer than `epochs`; None: the trial's own."""
    pause: float | None = None
    """Part of the epochs that the budget pays for after which this trial ends, so that its controller can judge it. The
    schedule spans them all, and another trial may go on. Whoever grants them puts `epochs` and `schedule_epochs`."""
    prunable: bool = True
    """Whether the study's scheduler may stop the trial early."""
    controller_flops: int = 0
    """What proposing this and learning from it costs the controller itself."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What proposing found out and telling will need, in JSON types. Stored with the trial, so that a replay has it."""

    @property
    def choosable(self) -> bool:
        """Whether it leaves a trained network that the run can deliver."""
        return self.deliverable or self.kind in (Kind.ARCHITECTURE, Kind.CONTINUATION)

    def fewest_epochs(self, trial_epochs: int) -> int:
        """Epochs that it has to reach, in a study whose trials have `trial_epochs`."""
        wanted = self.epochs or trial_epochs
        fewest = wanted if self.min_epochs is None else min(self.min_epochs, wanted)
        return max(fewest, self.resumed_epochs + 1)

    @property
    def resumable(self) -> bool:
        """Whether another trial may go on where this one stops: its schedule reaches beyond its own end."""
        return self.schedule_epochs is not None and self.epochs is not None and self.epochs < self.schedule_epochs


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Metrics after one epoch, and the cost of the trial up to then."""

    number: int
    """1 for the first of the network's training."""
    metrics: Mapping[str, float]
    cost: Cost
    profile: tuple[float, ...] = ()
    """A relaxation's weight per level."""
    readings: Readings = field(default_factory=dict)
    """What else is known of its levels."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a worker returns.

    Raises:
        TrialFailed: a metric is NaN or infinite, which is a failure and not a value.
    """

    metrics: Mapping[str, float]
    charges: tuple[Charge, ...]
    epochs: int
    """Epochs that the network has been trained for, those of a resumed parent included."""
    num_parameters: int | None
    """None where a table does not say, as is `inference_flops`."""
    inference_flops: int | None
    """FLOPs of the forward pass of one input."""
    profile: tuple[float, ...] = ()
    """A relaxation's weight per level at the end of its training."""
    readings: Readings = field(default_factory=dict)
    """What else is known of its levels then."""
    derived: tuple[Architecture, ...] = ()
    """Architectures that a relaxation points to, best first."""
    points: tuple[MeasuredPoint, ...] = ()
    """Of a network that chooses its depth per input."""

    def __post_init__(self) -> None:
        for name, value in self.metrics.items():
            if not math.isfinite(value):
                raise TrialFailed(f"{name} must be finite, got {value}")
        for name, values in self.readings.items():
            for level, value in enumerate(values):
                if not math.isfinite(value):
                    raise TrialFailed(f"{name} of level {level} must be finite, got {value}")

    @property
    def cost(self) -> Cost:
        """Sum of the charges."""
        return total(self.charges)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One thing trained and scored inside a run."""

    number: int
    """Position in the order of asking, from 0, within the run."""
    proposal: Proposal
    epochs: int
    """Epochs granted, those of a resumed parent included."""
    seed: int
    status: Status = Status.RUNNING
    measurement: Measurement | None = None
    """Present once the trial is COMPLETE or PRUNED."""
    reason: str = ""
    """Why it FAILED."""

    @property
    def score(self) -> float | None:
        """Validation accuracy in [0, 1]; None where there is no measurement of it."""
        return None if self.measurement is None else self.measurement.metrics.get(SCORE)

    @property
    def architecture(self) -> Architecture | None:
        """The network, unless this is a supernet."""
        return self.proposal.architecture
