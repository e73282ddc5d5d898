"""How a trained network with several exits can be run: thresholds of confidence that decide where an input leaves.

They are set for shares of inputs that leave at each exit, proportional to `p^k`: the settings are those of MSDNet's
evaluation (Huang et al., ICLR 2018, arXiv 1703.09844), at fewer p. Shapes: B batch, E exits, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from search_spaces.chain import Chain
from search_spaces.dynamic.conditional import run_compacted
from search_spaces.dynamic.dynamic import Observed
from search_spaces.dynamic.exit_rules import ExitRule, budget_shares, confidence, quantile_thresholds
from search_spaces.dynamic.exits import read_exits
from search_spaces.dynamic.operating_point import exit_flops, operating_point
from search_spaces.operating_points import OperatingPoint, Setting

BUDGETS = tuple(eighths / 8 for eighths in range(1, 16))
"""p of the settings: MSDNet's evaluation code has 1/20 to 39/20."""


class ExitSettings:
    """Makes a network with `Exits` a `Dynamic` one."""

    chain: Chain
    depths: tuple[int, ...]
    heads: nn.ModuleDict
    input_shape: tuple[int, ...]

    def exit_logits(self, x_B: Tensor) -> list[Tensor]:
        """Logits `y_BK` of every exit."""
        return read_exits(self, x_B)

    def num_observations(self) -> int:
        """All thresholds look at the same logits."""
        return 1

    def observe(self, number: int, x_B: Tensor) -> Observed:
        """Logits `y_BEK` of all exits."""
        return (torch.stack(self.exit_logits(x_B), dim=1),)

    def settings(self, observed: Sequence[Observed]) -> tuple[Setting, ...]:
        """Thresholds of confidence for every budget, and those at which nothing leaves before the end.

        On few inputs, two budgets may lead to the same thresholds, of which the first stands.
        """
        ((y_BEK,),) = observed
        num_exits = y_BEK.shape[1]
        confidence_EB = confidence(y_BEK.transpose(0, 1))
        labels: dict[tuple[float, ...], str] = {}
        for p in BUDGETS if num_exits > 1 else ():
            labels.setdefault(quantile_thresholds(confidence_EB, budget_shares(p, num_exits)), f"p={p:g}")
        labels.setdefault((math.inf,) * (num_exits - 1), "last exit")
        return tuple(
            Setting(label=label, thresholds=tuple(None if one == math.inf else one for one in thresholds))
            for thresholds, label in labels.items()
        )

    def operating_point(self, setting: Setting, observed: Sequence[Observed], y_B: Tensor) -> OperatingPoint:
        """Every input answered by the exit that it takes."""
        ((y_BEK,),) = observed
        y_EBK = y_BEK.transpose(0, 1)
        return operating_point(y_EBK, y_B, _rule(setting).exits(y_EBK), self._exit_flops)

    def run_at(self, setting: Setting, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the exit that each input takes."""
        return run_compacted(self, x_B, _rule(setting)).logits

    @cached_property
    def _exit_flops(self) -> tuple[int, ...]:
        return exit_flops(self, self.input_shape)


def _rule(setting: Setting) -> ExitRule:
    thresholds = (math.inf if threshold is None else threshold for threshold in setting.thresholds)
    return ExitRule(kind="confidence", thresholds=tuple(thresholds))
