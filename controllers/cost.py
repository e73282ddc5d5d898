"""Compute, counted in whole numbers so that sums are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MICROSECONDS_PER_SECOND = 1_000_000


class Unit(StrEnum):
    """What a budget is counted in. The ledger's atom of each is a whole number: FLOP, microsecond, epoch, trial."""

    FLOPS = "flops"
    DEVICE_SECONDS = "device_seconds"
    EPOCHS = "epochs"
    TRIALS = "trials"

    @property
    def atoms(self) -> int:
        """Atoms in one of the unit."""
        return MICROSECONDS_PER_SECOND if self is Unit.DEVICE_SECONDS else 1


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something took, in every unit at once."""

    flops: int = 0
    device_us: int = 0
    """Device time in microseconds."""
    epochs: int = 0
    trials: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            flops=self.flops + other.flops,
            device_us=self.device_us + other.device_us,
            epochs=self.epochs + other.epochs,
            trials=self.trials + other.trials,
        )

    def __sub__(self, other: Cost) -> Cost:
        return self + other * -1

    def __mul__(self, times: int) -> Cost:
        return Cost(
            flops=self.flops * times,
            device_us=self.device_us * times,
            epochs=self.epochs * times,
            trials=self.trials * times,
        )

    def atoms(self, unit: Unit) -> int:
        """The amount that a ledger in `unit` charges."""
        match unit:
            case Unit.FLOPS:
                return self.flops
            case Unit.DEVICE_SECONDS:
                return self.device_us
            case Unit.EPOCHS:
                return self.epochs
            case Unit.TRIALS:
                return self.trials


class ChargeKind(StrEnum):
    """What compute was spent on."""

    TRAIN = "train"
    """Forward and backward of network weights."""
    ARCHITECTURE = "architecture"
    """Steps of architecture parameters, second-order terms included."""
    VALIDATE = "validate"
    TEST = "test"
    CONTROLLER = "controller"
    """Proposing and learning: forward, backward and update of the controller itself."""
    LOST = "lost"
    """Work of a worker that died, up to its last sign of life."""


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One line of the ledger."""

    kind: ChargeKind
    cost: Cost


def total(charges: Sequence[Charge]) -> Cost:
    """The sum of the charges."""
    if len(charges) == 1:
        return charges[0].cost
    return sum((charge.cost for charge in charges), Cost())
