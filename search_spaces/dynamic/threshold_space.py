"""Thresholds of the exits of a trained network as a search space, so that any method of search can set them.

SCAN (Zhang et al., NeurIPS 2019, arXiv 1906.03951) finds them by a genetic search, whose code its authors did not
release: theirs has four numbers from 0.95 to 0.98. Here every exit but the last has a threshold on its confidence, one
of the same values for all, so that a grid can tie them. A value is asked for in two digits of about equally many
options, so that a method that changes one answer at a time takes small steps as well as large ones: with as many
options as values, a mutation would leave whatever was nearly right.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.dynamic.exit_rules import ExitRule
from search_spaces.errors import InvalidArchitecture, InvalidInput
from search_spaces.space import Choose
from search_spaces.values import CONFIG

NONE_LEAVES = 2.0
"""A confidence that no input has."""
DIGITS = ("*.coarse", "*.fine")
"""Patterns of the decisions, by which a grid ties the thresholds of all exits."""


def quantiles(confidence_EB: Tensor, number: int) -> tuple[float, ...]:
    """So many thresholds, ascending: one for none, after confidences that occur, at equal steps of rank among all.

    Confidences of a trained network crowd below 1, and those of its first exits do not, so that no fixed values tell
    both apart. At the lowest, all inputs leave. A confidence that is there more often than a step is wide comes once.
    """
    sorted_N = confidence_EB.flatten().sort().values
    rank_Q = torch.linspace(0, len(sorted_N) - 1, number - 1, dtype=torch.float64).round().long()
    return (*dict.fromkeys(sorted_N[rank_Q].tolist()), NONE_LEAVES)


@validated(frozen=True, kw_only=True, config=CONFIG)
class ThresholdSpace:
    """A point is an exit rule. There is nothing to build: the network is trained already."""

    num_exits: int = Field(ge=2)
    values: tuple[float, ...] = Field(min_length=1)
    """To choose every threshold from, ascending."""
    input_shape: tuple[int, ...] = ()
    num_classes: int = 0

    def __post_init__(self) -> None:
        if list(self.values) != sorted(set(self.values)):
            raise InvalidInput(f"must be ascending and distinct, got {list(self.values)}", field="values")

    def compose(self, choose: Choose) -> Architecture:
        thresholds = [self._value(choose, f"threshold{number}.") for number in range(1, self.num_exits)]
        return Architecture(depth=self.num_exits, form={"thresholds": thresholds})

    def build(self, architecture: Architecture) -> nn.Module:
        raise InvalidArchitecture("thresholds are no network: they are those of a trained one")

    def _value(self, choose: Choose, prefix: str) -> float:
        base = math.isqrt(len(self.values))
        coarse = choose(f"{prefix}coarse", range(math.ceil(len(self.values) / base)))
        assert isinstance(coarse, int)
        few = self.values[base * coarse : base * (coarse + 1)]
        fine = choose(f"{prefix}fine", range(len(few)))
        assert isinstance(fine, int)
        return few[fine]


def rule_of(point: Architecture) -> ExitRule:
    """The exit rule that a point of a `ThresholdSpace` is."""
    return ExitRule(kind="confidence", thresholds=tuple(point.form["thresholds"]))
