"""Depth as a mixture of levels, the form of TAS (Dong & Yang, NeurIPS 2019, arXiv 1905.09717).

A stage returns `sum_d w_d h_d` over the depths that the space allows, so the next stage, or the head, reads a mixture.
Here the paths without weights are the shallow exits: every level but the deepest has a direct path to the mixture, past
the blocks above it. Skip dropout falls on these exits, and the auxiliary path is the plain mean of all exits, so that
the levels need no weight for the sake of a short path to the loss.
Shapes: B batch, D depths of a stage, L its largest depth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces.relaxations.chains import weighted_sum
from search_spaces.relaxations.mixing import Mixing, logits

Score = tuple[float, ...]
"""Numbers to be compared from the first to the last; more is better."""


class MixedStage(nn.Module):
    """Blocks in sequence, and a mixture of the hidden states at the allowed depths."""

    def __init__(self, blocks: Sequence[nn.Module], depths: tuple[int, ...], mixing: Mixing) -> None:
        super().__init__()
        self.blocks = list(blocks)  # a plain list: the chain of the whole network owns them
        self.depths = depths
        self.mixing = mixing
        self.beta_D = logits(len(depths))
        self.removed: int | None = None
        """The depth whose exit is taken out, if one is."""
        self.removals: dict[int, Score] = {}
        """How much it hurts to take out the exit at each depth."""

    def depth_weights(self) -> Tensor:
        """Weights `[D]` of the allowed depths in a forward pass."""
        if self.removed is not None:
            return self.weights_without(self.removed)
        return self.mixing(self.beta_D, training=self.training)

    def depth_probabilities(self) -> Tensor:
        """Probabilities `[D]` of the allowed depths."""
        return self.mixing.probabilities(self.beta_D)

    def weights_without(self, depth: int) -> Tensor:
        """Weights `[D]` without one of the allowed depths."""
        mask_D = torch.ones_like(self.beta_D)
        mask_D[self.depths.index(depth)] = 0
        return self.mixing.without(self.mixing(self.beta_D, training=self.training), mask_D)

    def score_removals(self, score: Callable[[], Score]) -> None:
        """Take out every exit in turn; the network scores worst without the one that it needs most."""
        for depth in self.depths:
            self.removed = depth
            self.removals[depth] = tuple(-value for value in score())
        self.removed = None

    def levels(self, h_B: Tensor, block_weights: Sequence[Tensor | None]) -> list[Tensor]:
        """Level 0 of the stage to all its levels; a block with a choice gets its weights beside the input."""
        levels = [h_B]
        for block, weights in zip(self.blocks, block_weights, strict=True):
            levels.append(block(levels[-1]) if weights is None else block(levels[-1], weights))
        return levels

    def mix(self, levels: Sequence[Tensor], weights_D: Tensor) -> Tensor:
        """What the stage returns."""
        deepest = max(self.depths)
        exits = [
            levels[depth] if depth == deepest else self.mixing.drop_skip(levels[depth], training=self.training)
            for depth in self.depths
        ]
        mixed_B = weighted_sum(weights_D, exits)
        if len(exits) == 1 or not self.mixing.auxiliary_skip:
            return mixed_B
        return self.mixing.add_auxiliary(mixed_B, sum(exits[1:], start=exits[0]) / len(exits))

    def most_probable_depth(self) -> int:
        """The depth with the largest weight."""
        return self.depths[int(self.beta_D.argmax())]


def total_depth(stages: Sequence[MixedStage]) -> tuple[float, ...]:
    """Probability of every total depth 0..L, the stages' depths drawn independently (a convolution)."""
    total = np.ones(1)
    for stage in stages:
        of_stage = np.zeros(1 + max(stage.depths))
        of_stage[list(stage.depths)] = stage.depth_probabilities().tolist()
        total = np.convolve(total, of_stage)
    return tuple(total.tolist())


def best_depths(stages: Sequence[Mapping[int, Score]], limit: int) -> list[tuple[int, ...]]:
    """A depth per stage, for up to `limit` combinations, in the order of the sum of their scores, best first."""
    ranked: list[tuple[Score, tuple[int, ...]]] = [((), ())]
    for scores in stages:
        longer = (
            (tuple(a + b for a, b in zip(total or (0.0,) * len(score), score, strict=True)), (*depths, depth))
            for total, depths in ranked
            for depth, score in scores.items()
        )
        # Exact: a combination among the best has its beginning among the best.
        ranked = nlargest(limit, longer, key=lambda combination: combination[0])
    return [depths for _, depths in ranked]
