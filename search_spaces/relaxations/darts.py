"""DARTS over chains: softmax mixtures of operations and of depths (Liu, Simonyan & Yang, ICLR 2019, arXiv 1806.09055).

Every block is the mixed operation of the paper's equation 2 over all pairs of operation and inner width,
`sum_o softmax(alpha_l)_o o(h)`. Depth is mixed as in TAS (Dong & Yang, NeurIPS 2019, arXiv 1905.09717), without its
Gumbel noise: a stage returns `sum_d softmax(beta)_d h_d` over the depths that the space allows; with one stage that is
`head(sum_d p_d h_d)`.

Differences from the DARTS paper: a chain instead of a cell, so every block has its own alpha and keeps its single
strongest candidate. As there, batch normalisation inside competing candidates has no affine part, which could undo a
candidate's weight; where a block has one candidate, nothing competes and the block is the ordinary one.

Shapes: B batch, L levels of a stage, O candidates of a block, D depths of a stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces.architecture import Architecture, Option
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer, enumerate_space
from search_spaces.errors import InvalidInput
from search_spaces.relaxations.chains import chain_space, max_depths, prefixes, weighted_sum, with_depths
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

INIT_SCALE = 1e-3
"""Architecture parameters start at this times a standard normal, as in the authors' code."""

MAX_DERIVED = 100
"""Several stages have more combinations of depths than any budget trains; the best of them are derived."""


@validated(frozen=True, kw_only=True, config=CONFIG)
class Darts:
    """Learns the depth of every stage and the operation and inner width of every block. Defaults are the paper's."""

    order: Literal["first", "second"] = "first"
    """Of the architecture gradient: the paper's two variants, of which the second costs about three times the step."""
    architecture_learning_rate: float = Field(default=3e-4, gt=0)
    architecture_weight_decay: float = Field(default=1e-3, ge=0)
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs of weights alone, so that an operation is not judged by its initialisation."""

    recipe = "bilevel"

    def recipe_options(self) -> Mapping[str, Any]:
        return {
            "order": self.order,
            "architecture_learning_rate": self.architecture_learning_rate,
            "architecture_weight_decay": self.architecture_weight_decay,
            "warmup_epochs": self.warmup_epochs,
        }

    def check(self, space: SearchSpace) -> None:
        chain = chain_space(space, method="darts")
        if len(_candidates(chain)) == 1 and all(len(stage.depth) == 1 for stage in chain.all_stages()):
            raise InvalidInput("darts needs a depth, an operation or a block width to choose, got a single chain")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return DartsNetwork(chain_space(space, method="darts"))


class DartsNetwork(nn.Module):
    """Stem, stages of mixed blocks, head."""

    def __init__(self, space: ChainSpace) -> None:
        super().__init__()
        self.space = space
        self.candidates = _candidates(space)
        widths = [stage.width[0] for stage in space.all_stages()]
        self.stem = space.make_stem(widths[0])
        # One column per candidate, one row per level of the deepest chain.
        levels = iter(zip(*(space.blocks(candidate) for candidate in self.candidates), strict=True))
        self.stages = nn.ModuleList()
        for stage, num_levels in zip(space.all_stages(), max_depths(space), strict=True):
            blocks = [MixedBlock([space.make_block(block) for block in next(levels)]) for _ in range(num_levels)]
            self.stages.append(MixedStage(blocks, stage.depth, num_candidates=len(self.candidates)))
        self.head = space.make_head(widths[-1])

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        h_B = self.stem(x_B)
        for stage in self.stages:
            h_B = stage(h_B)
        y_BK: Tensor = self.head(h_B)
        return y_BK

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Alpha `[L, O]` and beta `[D]` of every stage, where there is a choice."""
        both = (parameter for stage in self._mixed_stages() for parameter in (stage.alpha_LO, stage.beta_D))
        return [parameter for parameter in both if isinstance(parameter, nn.Parameter)]

    def constrain(self) -> None:
        """Nothing to do: the softmax is defined everywhere."""

    def profile(self) -> tuple[float, ...]:
        """Probability of every total depth, the stages' depths drawn independently (a convolution)."""
        total = np.ones(1)
        for stage in self._mixed_stages():
            of_stage = np.zeros(1 + max(stage.depths))
            of_stage[list(stage.depths)] = stage.depth_weights().tolist()
            total = np.convolve(total, of_stage)
        return tuple(total.tolist())

    def derive(self) -> tuple[Architecture, ...]:
        """The strongest candidate of every block, for the depths in the order of their probability."""
        ranked = [_Depths(probability=1.0, depths=())]
        for stage in self._mixed_stages():
            choices = list(zip(stage.depths, stage.depth_weights().tolist(), strict=True))
            longer = (
                _Depths(probability=prefix.probability * probability, depths=(*prefix.depths, depth))
                for prefix in ranked
                for depth, probability in choices
            )
            # Exact: a combination among the best has its prefix among the best.
            ranked = nlargest(MAX_DERIVED, longer, key=lambda combination: combination.probability)
        return tuple(self._architecture(combination.depths) for combination in ranked)

    def _architecture(self, depths: tuple[int, ...]) -> Architecture:
        decisions = with_depths(self.space, depths)
        for prefix, stage, depth in zip(prefixes(self.space), self._mixed_stages(), depths, strict=True):
            strongest = stage.alpha_LO.argmax(dim=1).tolist()
            for level, index in enumerate(strongest[:depth], start=1):
                decisions |= _of_block(self.candidates[index], f"{prefix}block{level}.")
        return answer(self.space, decisions)

    def _mixed_stages(self) -> list[MixedStage]:
        return [stage for stage in self.stages if isinstance(stage, MixedStage)]


class MixedStage(nn.Module):
    """Mixed blocks in sequence, and a mixture of the hidden states at the allowed depths."""

    def __init__(self, blocks: Sequence[nn.Module], depths: tuple[int, ...], *, num_candidates: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.depths = depths
        self.alpha_LO = _logits(len(blocks), num_candidates)
        self.beta_D = _logits(len(depths))

    def depth_weights(self) -> Tensor:
        """Probabilities `[D]` of the allowed depths."""
        return self.beta_D.softmax(dim=0)

    def forward(self, h_B: Tensor) -> Tensor:
        """Level 0 of the stage to the mixture of its levels."""
        weights_LO = self.alpha_LO.softmax(dim=1)
        levels = [h_B]
        for block, weights_O in zip(self.blocks, weights_LO, strict=True):
            levels.append(block(levels[-1], weights_O))
        return weighted_sum(self.depth_weights(), (levels[depth] for depth in self.depths))


class MixedBlock(nn.Module):
    """`sum_o w_o o(h)` over the candidates of one block (equation 2)."""

    def __init__(self, candidates: Sequence[nn.Module]) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        if len(candidates) > 1:
            _remove_affine(self)

    def forward(self, h_B: Tensor, weights_O: Tensor) -> Tensor:
        """One level to the next."""
        if len(self.candidates) == 1:
            only_B: Tensor = self.candidates[0](h_B)
            return only_B
        return weighted_sum(weights_O, (candidate(h_B) for candidate in self.candidates))


@dataclass(frozen=True, kw_only=True)
class _Depths:
    """Depths of the first stages, and the probability that all of them are drawn."""

    probability: float
    depths: tuple[int, ...]


def _candidates(space: ChainSpace) -> tuple[Architecture, ...]:
    """One deepest chain per candidate, which all its blocks share."""
    axes = ("*block*.op", "*block*.width")
    defaults = with_depths(space, max_depths(space))
    return tuple(enumerate_space(space, axes, tied=True, defaults=defaults))


def _of_block(candidate: Architecture, prefix: str) -> dict[str, Option]:
    return {name: option for name, option in candidate.decisions.items() if name.startswith(prefix)}


def _logits(*shape: int) -> Tensor:
    """Architecture parameters; constants where the last dimension offers no choice."""
    if shape[-1] == 1 or prod(shape) == 0:
        return nn.Buffer(torch.zeros(shape))
    return nn.Parameter(INIT_SCALE * torch.randn(shape))


def _remove_affine(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.affine = False
            module.weight = module.bias = None  # type: ignore[assignment]
