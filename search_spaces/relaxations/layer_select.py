"""LayerSelect: depth as one real number (A. Rivero, ai.stackexchange.com, 2022, "number of layers as a parameter").

`out = sum_l w_l h_l` over levels l = 1..L, with `w_l = max(0, 1 - c (l - k)^2)` and k a trainable scalar clipped to
[1, L]; the head reads the sum. Kept as posted, as a control for the methods that came after it:

- the sum of the weights, and so the scale of the output, depends on k (c = 1: 1 at whole k, 1.5 half-way);
- dw_l/dk = 2c (l - k) inside the window, so with c = 1 the gradient is exactly zero at whole k, and nearly so around
  them but for the neighbour that enters, which is untrained;
- at the kink, where `1 - c (l - k)^2 = 0`, the gradient is 0, as in the author's `tf.maximum([0.0], ...)`.

Level 0, the stem, is never selected: the author's selector counts from 1. The posted code has lost its initialiser:
here k starts half-way between two middle levels, where every c has a gradient.
Shapes: B batch, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer
from search_spaces.errors import InvalidInput
from search_spaces.relaxations.chains import chain_of_depths, chain_space, deepest, weighted_sum, with_depths
from search_spaces.relaxations.relaxation import Readings
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class LayerSelect:
    """Learns the depth of a chain with one stage and nothing else to choose."""

    curvature: float = Field(default=1.0, gt=0, lt=4)
    """The c of the selector. The author's: 1 (at most two levels) and 0.25. From 4 on, nothing is selected half-way."""
    normalized: bool = False
    """Divide by the sum of the weights."""
    initial_k: float | None = Field(default=None, ge=1)
    """Where the selector starts; none: half-way between two middle levels."""
    k_learning_rate: float | None = Field(default=None, gt=0)
    """Of the selector; none: that of the weights."""

    recipe = "joint"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {"architecture_learning_rate": self.k_learning_rate}

    def check(self, space: SearchSpace) -> None:
        chain, _ = chain_of_depths(space, method="layer_select")
        depths = _depths(chain)
        if len(depths) < 2:
            raise InvalidInput(f"layer_select needs two depths of at least 1 to choose from, got {list(depths)}")
        if self.initial_k is not None and self.initial_k > max(depths):
            raise InvalidInput(
                f"must be at most the largest depth {max(depths)}, got {self.initial_k}", field="initial_k"
            )

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return LayerSelectNetwork(chain_space(space, method="layer_select"), self)


class LayerSelectNetwork(nn.Module):
    """The deepest chain, its head on the selected levels."""

    def __init__(self, space: ChainSpace, options: LayerSelect) -> None:
        super().__init__()
        self.space = space
        self.options = options
        self.chain: Chain = space.build(deepest(space))
        self.num_levels = len(self.chain.blocks)
        initial_k = self.num_levels // 2 + 0.5 if options.initial_k is None else options.initial_k
        self.k = nn.Parameter(torch.tensor(float(initial_k)))

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        levels = self.chain.hidden_states(x_B)[1:]
        y_BK: Tensor = self.chain.head(weighted_sum(self.weights(), levels))
        return y_BK

    def weights(self) -> Tensor:
        """Weights `[L]` of levels 1..L."""
        level_L = torch.arange(1, self.num_levels + 1, device=self.k.device)
        # relu, whose gradient at a tie is 0: torch.clamp would pass it, torch.maximum would halve it.
        weights_L = torch.relu(1 - self.options.curvature * (level_L - self.k) ** 2)
        return weights_L / weights_L.sum() if self.options.normalized else weights_L

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The scalar k."""
        return [self.k]

    @torch.no_grad()
    def constrain(self) -> None:
        """Clip k to [1, L]."""
        self.k.clamp_(1, self.num_levels)

    def profile(self) -> tuple[float, ...]:
        """The weight of every level; level 0 has none."""
        return (0.0, *self.weights().tolist())

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The allowed depths, nearest to k first (ties: shallow): by weight where there is one, by distance beyond."""
        k = self.k.item()
        ranked = sorted(_depths(self.space), key=lambda depth: (abs(depth - k), depth))
        return tuple(answer(self.space, with_depths(self.space, (depth,))) for depth in ranked)


def _depths(space: ChainSpace) -> tuple[int, ...]:
    """The depths of the space that a selector of levels 1..L can stand for."""
    return tuple(depth for depth in space.all_stages()[0].depth if depth >= 1)
