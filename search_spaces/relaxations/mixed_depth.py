"""Depth as a mixture of levels, the form of TAS (Dong & Yang, NeurIPS 2019, arXiv 1905.09717) without its Gumbel noise.

A stage returns `sum_d softmax(beta)_d h_d` over the depths that the space allows, so the next stage, or the head,
reads a mixture. Shapes: B batch, D depths of a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces.relaxations.chains import weighted_sum

INIT_SCALE = 1e-3
"""Architecture parameters start at this times a standard normal, as in the code of DARTS."""


class MixedStage(nn.Module):
    """Blocks in sequence, and a mixture of the hidden states at the allowed depths."""

    def __init__(self, blocks: Sequence[nn.Module], depths: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.depths = depths
        self.beta_D = logits(len(depths))

    def depth_weights(self) -> Tensor:
        """Probabilities `[D]` of the allowed depths."""
        return self.beta_D.softmax(dim=0)

    def forward(self, h_B: Tensor, block_weights: Sequence[Tensor]) -> Tensor:
        """Level 0 of the stage to the mixture of its levels; every block gets its own weights beside the input."""
        levels = [h_B]
        for block, weights in zip(self.blocks, block_weights, strict=True):
            levels.append(block(levels[-1], weights))
        return weighted_sum(self.depth_weights(), (levels[depth] for depth in self.depths))


def logits(*shape: int) -> Tensor:
    """Fresh architecture parameters; constants where the last dimension offers no choice."""
    if shape[-1] == 1 or prod(shape) == 0:
        return nn.Buffer(torch.zeros(shape))
    return nn.Parameter(INIT_SCALE * torch.randn(shape))


def total_depth(stages: Sequence[MixedStage]) -> tuple[float, ...]:
    """Probability of every total depth 0..L, the stages' depths drawn independently (a convolution)."""
    total = np.ones(1)
    for stage in stages:
        of_stage = np.zeros(1 + max(stage.depths))
        of_stage[list(stage.depths)] = stage.depth_weights().tolist()
        total = np.convolve(total, of_stage)
    return tuple(total.tolist())


def most_probable_depths(stages: Sequence[MixedStage], limit: int) -> list[tuple[int, ...]]:
    """A depth per stage, for up to `limit` combinations, in the order of the product of their probabilities."""
    ranked = [_Depths(probability=1.0, depths=())]
    for stage in stages:
        choices = list(zip(stage.depths, stage.depth_weights().tolist(), strict=True))
        longer = (
            _Depths(probability=prefix.probability * probability, depths=(*prefix.depths, depth))
            for prefix in ranked
            for depth, probability in choices
        )
        # Exact: a combination among the best has its prefix among the best.
        ranked = nlargest(limit, longer, key=lambda combination: combination.probability)
    return [combination.depths for combination in ranked]


@dataclass(frozen=True, kw_only=True)
class _Depths:
    """Depths of the first stages, and the probability that all of them are drawn."""

    probability: float
    depths: tuple[int, ...]
