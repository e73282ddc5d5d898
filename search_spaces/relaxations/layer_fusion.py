"""Fusion: the head reads a learned mixture of all levels (A. Rivero, ai.stackexchange.com, 2022, his second post).

`out = sum_l w_l h_l` over levels l = 0..L. The mixes:

- `linear`: the post's `Dense(1, activation=None, use_bias=False)` over the stacked levels. Its author reports that it
  "will not converge to a Kronecker delta", and that the initialiser matters.
- `softmax`: ELMo's scalar mix, `gamma sum_l softmax(s)_l h_l` (Peters et al., NAACL 2018, arXiv 1802.05365, equation
  1). Every level keeps a weight.
- `sparsemax` (Martins & Astudillo, ICML 2016, arXiv 1602.02068) and `entmax15` (Peters, Niculae & Martins, ACL 2019,
  arXiv 1905.05702, alpha = 1.5): the same with maps whose weights can be exactly zero, so that they can reach a delta.
  A level without a weight has no gradient: it returns only if those that have one lose it.

Differences from the post: the levels may be brought to one size before they are mixed, since a weight says little about
a level whose size is free; and weight decay spares the mix, which it would pull to zero (linear) or to equal weights.
Shapes: B batch, L levels from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from entmax import entmax15, sparsemax
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.readings import Readings
from search_spaces.relaxations.by_gradient import Level, recipe_of, recipe_options_of
from search_spaces.relaxations.chains import architectures_of, chain_of_depths, deepest, weighted_sum
from search_spaces.relaxations.level_probe import probe_levels
from search_spaces.relaxations.relaxation import Probe
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

MAPS = {"softmax": torch.softmax, "sparsemax": sparsemax, "entmax15": entmax15}
"""From scores to weights that add up to one."""
FIRST_WEIGHT = 0.1
"""Of level 0, with all others zero: the post's "starting vector [0.1, 0.0, ...]"."""


@validated(frozen=True, kw_only=True, config=CONFIG)
class LayerFusion:
    """Learns a weight for every level of a chain with one stage and nothing else to choose."""

    mix: Literal["linear", "softmax", "sparsemax", "entmax15"] = "linear"
    """How the weights are made: free numbers, or a map of scores onto the simplex, times a learned factor."""
    initializer: Literal["uniform", "first", "glorot"] = "uniform"
    """Of the linear mix: 1 / (L + 1) everywhere; 0.1 on level 0 and zero elsewhere; Keras's default for a dense layer.
    The maps start with equal scores."""
    normalize_levels: bool = False
    """Divide every level by the root mean square of each example before mixing."""
    rank_by: Literal["weight", "scaled_weight", "level_accuracy", "level_loss", "removal_accuracy", "removal_loss"] = (
        "scaled_weight"
    )
    """What ranks the depths: size of the weight, alone or times the level's; how good the level is alone, or how bad
    the network is without it."""
    architecture_learning_rate: float | None = Field(default=None, gt=0)
    """Of the mix; none: that of the weights."""
    level: Level = "train"
    """Data whose loss moves the mix: in one step with the weights, or in turns with them, by Adam, as in DARTS."""
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs of weights alone."""

    inheritable = True

    @property
    def recipe(self) -> str:
        return recipe_of(self.level)

    def recipe_options(self) -> Mapping[str, Any]:
        rate = self.architecture_learning_rate
        return recipe_options_of(self.level, learning_rate=rate, warmup_epochs=self.warmup_epochs)

    def check(self, space: SearchSpace) -> None:
        chain_of_depths(space, method="layer_fusion")
        if self.mix != "linear" and self.initializer != "uniform":
            raise InvalidInput(f"is for the linear mix, got mix {self.mix!r}", field="initializer")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return LayerFusionNetwork(chain_of_depths(space, method="layer_fusion")[0], self)


class LayerFusionNetwork(nn.Module):
    """The deepest chain, its head on the mixture of all levels."""

    def __init__(self, space: ChainSpace, options: LayerFusion) -> None:
        super().__init__()
        self.space = space
        self.options = options
        self.chain: Chain = space.build(deepest(space))
        num_levels = 1 + len(self.chain.blocks)
        self.is_linear = options.mix == "linear"
        self.scores_L = nn.Parameter(
            linear_weights(num_levels, options.initializer) if self.is_linear else torch.zeros(num_levels)
        )
        self.gamma = nn.Buffer(torch.ones(())) if self.is_linear else nn.Parameter(torch.ones(()))

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        return self._read(weighted_sum(self.weights(), self._levels(x_B)))

    def probe(self, x_B: Tensor) -> Probe:
        """The readings of every level; alone it has weight 1, times gamma. Sizes are those that enter the mixture."""
        levels = self._levels(x_B)
        return probe_levels(self.weights(), levels, self._read, normalized=not self.is_linear, states=levels)

    def weights(self) -> Tensor:
        """Weights `[L]` of levels 0..L, without gamma."""
        if self.is_linear:
            return self.scores_L
        weights_L: Tensor = MAPS[self.options.mix](self.scores_L, dim=0)
        return weights_L

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The scores, and gamma where it is learned."""
        return [one for one in (self.scores_L, self.gamma) if isinstance(one, nn.Parameter)]

    def constrain(self) -> None:
        """Nothing to do: every score is allowed."""

    def profile(self) -> tuple[float, ...]:
        """The weight of every level."""
        return tuple(self.weights().tolist())

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The allowed depths by `rank_by` (ties: shallow)."""
        depths = self.space.all_stages()[0].depth
        return architectures_of(self.space, rank(depths, self.options.rank_by, self.profile(), readings))

    def _levels(self, x_B: Tensor) -> list[Tensor]:
        states = self.chain.hidden_states(x_B)
        if not self.options.normalize_levels:
            return states
        return [F.rms_norm(h_B, h_B.shape[1:]) for h_B in states]

    def _read(self, h_B: Tensor) -> Tensor:
        y_BK: Tensor = self.chain.head(h_B if self.is_linear else self.gamma * h_B)
        return y_BK


def linear_weights(num_levels: int, initializer: str) -> Tensor:
    """Fresh weights `[L]` of the linear mix."""
    match initializer:
        case "first":
            return torch.tensor([FIRST_WEIGHT] + [0.0] * (num_levels - 1))
        case (
            "glorot"
        ):  # a kernel [L, 1]: U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, 2010, eq. 16)
            return math.sqrt(6 / (num_levels + 1)) * (2 * torch.rand(num_levels) - 1)
        case _:
            return torch.full((num_levels,), 1 / num_levels)


def rank(depths: tuple[int, ...], rank_by: str, profile: tuple[float, ...], readings: Readings) -> list[int]:
    """These depths, the best by one reading first (ties: shallow)."""
    values = [abs(weight) for weight in profile] if rank_by == "weight" else readings[rank_by]
    sign = 1 if rank_by in ("level_loss", "removal_accuracy") else -1
    return sorted(depths, key=lambda depth: (sign * values[depth], depth))
