"""How a trained network whose inputs skip blocks can be run: thresholds of the probability that a block is executed.

It was trained for one of them, 1/2; the others are other settings of the same network.
Shapes: B batch, N blocks that can be skipped, K classes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property

from torch import Tensor

from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.dynamic import Observed
from search_spaces.dynamic.skipping import Step, compacted, executed_flops, masked
from search_spaces.flops import level_flops
from search_spaces.operating_points import OperatingPoint, Setting

Act = Callable[[Tensor], Tensor]
"""From scores, the log-odds that blocks are executed, to gates, elementwise."""
THRESHOLDS = (0.9, 0.7, 0.5, 0.3, 0.1)
"""Of the probability that a block is executed: 1/2 is that of both papers."""


class SkippingSettings:
    """Makes a chain that skips blocks a `Dynamic` one."""

    space: ChainSpace
    chain: Chain
    blocks: tuple[int, ...]
    """That can be skipped, from 1."""

    @abstractmethod
    def answer(self, x_B: Tensor, act: Act, *, step: Step) -> tuple[Tensor, Tensor]:
        """Logits `y_BK` and gates `g_BN`, where an action decides by the scores."""

    @abstractmethod
    def decision_flops(self) -> int:
        """Of whatever says the scores, for one input."""

    def num_observations(self) -> int:
        """One for each threshold: what a block does with its inputs decides what later blocks and gates see."""
        return len(THRESHOLDS)

    def observe(self, number: int, x_B: Tensor) -> Observed:
        """Logits `y_BK` and gates `g_BN` at a threshold."""
        return self.answer(x_B, executed_from(THRESHOLDS[number]), step=masked)

    def settings(self, observed: Sequence[Observed]) -> tuple[Setting, ...]:
        """All thresholds, whatever the data."""
        return tuple(Setting(label=f"threshold {one:g}", thresholds=(one,)) for one in THRESHOLDS)

    def operating_point(self, setting: Setting, observed: Sequence[Observed], y_B: Tensor) -> OperatingPoint:
        """Shares are those of the inputs that execute each block; one that cannot be skipped is executed by all."""
        y_BK, g_BN = observed[THRESHOLDS.index(_threshold(setting))]
        levels, deciding = self._flops
        flops_B = executed_flops(levels, self.blocks, g_BN)
        shares = dict(zip(self.blocks, g_BN.double().mean(dim=0).tolist(), strict=True))
        return OperatingPoint(
            accuracy=(y_BK.argmax(dim=-1) == y_B).double().mean().item(),
            mean_flops=deciding + flops_B.double().mean().item(),
            shares=tuple(shares.get(block, 1.0) for block in range(1, len(self.chain.blocks) + 1)),
        )

    def run_at(self, setting: Setting, x_B: Tensor) -> Tensor:
        """Logits `y_BK`; every block sees the inputs that execute it."""
        return self.answer(x_B, executed_from(_threshold(setting)), step=compacted)[0]

    @cached_property
    def _flops(self) -> tuple[tuple[int, ...], int]:
        """Of stem, blocks and head, and of the decisions, for one input."""
        return level_flops(self.chain, self.space.input_shape), self.decision_flops()


def executed_from(threshold: float) -> Act:
    """Hard gates that execute from this probability on. The score decides, so that 1/2 is `hard` to the last bit."""
    score = math.log(threshold / (1 - threshold))
    return lambda s_B: (s_B >= score).to(s_B.dtype)


def _threshold(setting: Setting) -> float:
    (threshold,) = setting.thresholds
    assert threshold is not None
    return threshold
