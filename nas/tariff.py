"""What epochs cost in the unit of a study's budgets, and how many of them an amount pays for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from controllers.cost import Cost, Unit

GUESSED_US_PER_FLOP = 1e-4
"""Ten GFLOP/s: what device time is predicted from until the first trial has been measured."""
NOTHING = Cost()
TIME_MARGIN = 1.25
"""Device time is predicted this much above the slowest rate seen."""


class Tariff(Protocol):
    """What the epochs of one trial cost, in the atoms of a unit."""

    def price(self, epochs: int) -> int:
        """Atoms for reaching `epochs`."""

    def affordable(self, amount: int) -> int:
        """Most epochs that `amount` atoms reach."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Epochs are paid in blocks of equal price, on top of a fixed amount.

    A trial that goes on from another pays for the blocks that this one had not started: the whole chain pays what one
    uninterrupted training would.
    """

    fixed: int
    """Atoms that are due however long the training is."""
    block: int
    """Atoms per started block."""
    epochs_per_block: int = 1
    resumed_epochs: int = 0
    """Epochs that another trial has paid for."""

    def price(self, epochs: int) -> int:
        new_blocks = num_blocks(epochs, self.epochs_per_block) - num_blocks(self.resumed_epochs, self.epochs_per_block)
        return self.fixed + self.block * new_blocks

    def affordable(self, amount: int) -> int:
        new_blocks = max(amount - self.fixed, 0) // max(self.block, 1)
        return (num_blocks(self.resumed_epochs, self.epochs_per_block) + new_blocks) * self.epochs_per_block


def num_blocks(epochs: int, epochs_per_block: int) -> int:
    """Blocks that `epochs` start."""
    return -(-epochs // epochs_per_block)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A table knows what some numbers of epochs took, and nothing between them."""

    fixed: int
    """Atoms that are due however long the training is."""
    steps: Mapping[int, int]
    """Atoms by epochs, both ascending."""

    def price(self, epochs: int) -> int:
        return self.fixed + next((atoms for known, atoms in self.steps.items() if known >= epochs), 0)

    def affordable(self, amount: int) -> int:
        return max((known for known, atoms in self.steps.items() if self.fixed + atoms <= amount), default=0)


class Throughput:
    """The slowest rate at which this study's workers have computed so far."""

    def __init__(self, us_per_flop: float) -> None:
        self.us_per_flop = us_per_flop
        self._measured = False

    def observe(self, cost: Cost) -> None:
        """Learn from a finished trial; the first one replaces the guess."""
        if cost.flops and cost.device_us:
            rate = cost.device_us / cost.flops
            self.us_per_flop = max(rate, self.us_per_flop) if self._measured else rate
            self._measured = True

    def predict_us(self, flops: int) -> int:
        """Device time of `flops`, with a margin."""
        return math.ceil(flops * self.us_per_flop * TIME_MARGIN)


def training_tariff(
    unit: Unit,
    *,
    epoch: Cost,
    controller_flops: int,
    epochs_per_trial: int,
    throughput: Throughput,
    resumed_epochs: int = 0,
    conclusion: Cost = NOTHING,
) -> Blocks:
    """The tariff of one trial whose single epoch costs `epoch`, and what follows the last one `conclusion`."""
    match unit:
        case Unit.FLOPS:
            return Blocks(fixed=controller_flops + conclusion.flops, block=epoch.flops, resumed_epochs=resumed_epochs)
        case Unit.DEVICE_SECONDS:
            return Blocks(
                fixed=throughput.predict_us(conclusion.flops),
                block=throughput.predict_us(epoch.flops),
                resumed_epochs=resumed_epochs,
            )
        case Unit.EPOCHS:
            return Blocks(fixed=0, block=1, resumed_epochs=resumed_epochs)
        case Unit.TRIALS:
            return Blocks(fixed=0, block=1, epochs_per_block=epochs_per_trial, resumed_epochs=resumed_epochs)


def table_tariff(
    unit: Unit, *, costs: Mapping[int, Cost], controller_flops: int, epochs_per_trial: int, resumed_epochs: int = 0
) -> Steps:
    """The tariff of one trial that a table answers, from what each number of epochs takes."""
    if unit is Unit.TRIALS:
        paid = num_blocks(resumed_epochs, epochs_per_trial)
        steps = {epochs: num_blocks(epochs, epochs_per_trial) - paid for epochs in costs}
    else:
        steps = {epochs: cost.atoms(unit) for epochs, cost in costs.items()}
    return Steps(fixed=controller_flops if unit is Unit.FLOPS else 0, steps=steps)
