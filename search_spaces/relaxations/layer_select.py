"""LayerSelect: depth as one real number (A. Rivero, ai.stackexchange.com, 2022, "number of layers as a parameter").

`out = sum_l w_l h_l` over levels l = 1..L, with `w_l = max(0, 1 - c (l - k)^2)` and k a trainable scalar clipped to
[1, L]; the head reads the sum. The defaults keep it as posted, as a control for the methods that came after it:

- the sum of the weights, and so the scale of the output, depends on k (c = 1: 1 at whole k, 1.5 half-way);
- dw_l/dk = 2c (l - k) inside the window, so with c = 1 the gradient is exactly zero at whole k, and nearly so around
  them but for the neighbour that enters, which is untrained;
- at the kink, where `1 - c (l - k)^2 = 0`, the gradient is 0, as in the author's `tf.maximum([0.0], ...)`.

The options are the remedies that its critics ask for: levels outside the window are trained by a loss of their own
(`auxiliary_weight`), k sees beyond its neighbours (`initial_curvature`) and leaves a local minimum (`num_starts`), is
judged on data that the weights have not fitted (`level`), or pays for what it selects (`flop_penalty`).

Level 0, the stem, is never selected: the author's selector counts from 1. The posted code has lost its initialiser:
here k starts half-way between two middle levels, where every c has a gradient.
Shapes: B batch, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.flops import level_flops
from search_spaces.readings import LEVEL_LOSS, Readings
from search_spaces.relaxations.by_gradient import Level, recipe_of, recipe_options_of
from search_spaces.relaxations.chains import (
    architectures_of,
    chain_from_one,
    deepest,
    depths_from_one,
    weighted_sum,
)
from search_spaces.relaxations.level_heads import give_levels_heads
from search_spaces.relaxations.level_probe import probe_levels
from search_spaces.relaxations.level_selector import LevelSelector
from search_spaces.relaxations.relaxation import Criterion, Probe
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class LayerSelect:
    """Learns the depth of a chain with one stage and nothing else to choose."""

    curvature: float = Field(default=1.0, gt=0, lt=4)
    """The c of the selector. The author's: 1 (at most two levels) and 0.25. From 4 on, nothing is selected half-way."""
    initial_curvature: float | None = Field(default=None, gt=0)
    """Anneals the window: c grows from here to `curvature`, by an equal factor every epoch; none: it is constant."""
    normalized: bool = False
    """Divide by the sum of the weights."""
    initial_k: float | None = Field(default=None, ge=1)
    """Where the selector starts; none: half-way between two middle levels."""
    num_starts: int = Field(default=1, ge=1)
    """Equal parts of the training, at the start of which k is set anew, spread evenly over the half-way points, shallow
    first; the window is annealed anew. Where the parts have ended is ranked by the loss of these levels."""
    movement: Literal["learned", "shallow_to_deep"] = "learned"
    """How k moves: by its gradient, or, as its author first used it, set between epochs, from 1 to the deepest level;
    depths are then ranked by their loss."""
    k_learning_rate: float | None = Field(default=None, gt=0)
    """Of the selector; none: that of the weights."""
    level: Level = "train"
    """Data whose loss moves the selector: in one step with the weights, or in turns with them, by Adam, as in DARTS."""
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs of weights alone."""
    heads: Literal["shared", "own"] = "shared"
    """shared: one head reads the selected hidden states; own: each level has its head, and logits are selected."""
    auxiliary_weight: float = Field(default=0.0, ge=0)
    """Of the mean, over levels 1..L, of the loss of each level alone, which the weights minimise beside that of the
    selection."""
    flop_penalty: float = Field(default=0.0, ge=0)
    """Nats that the deepest chain costs: times the expected FLOPs, relative to it, under the weights over their sum."""

    inheritable = True

    @property
    def recipe(self) -> str:
        return recipe_of(self.level)

    def recipe_options(self) -> Mapping[str, Any]:
        return recipe_options_of(self.level, learning_rate=self.k_learning_rate, warmup_epochs=self.warmup_epochs)

    def check(self, space: SearchSpace) -> None:
        _, depths = chain_from_one(space, method="layer_select")
        num_levels = max(depths)
        if self.initial_k is not None and self.initial_k > num_levels:
            raise InvalidInput(
                f"must be at most the largest depth {num_levels}, got {self.initial_k}", field="initial_k"
            )
        if self.initial_curvature is not None and self.initial_curvature > self.curvature:
            message = f"must be at most the curvature {self.curvature}, got {self.initial_curvature}"
            raise InvalidInput(message, field="initial_curvature")
        if self.num_starts >= num_levels:
            message = f"must be less than the largest depth {num_levels}, got {self.num_starts}"
            raise InvalidInput(message, field="num_starts")
        if self.movement != "learned" and (self.initial_k is not None or self.num_starts > 1):
            raise InvalidInput("is set between epochs: leave initial_k and num_starts out", field="movement")
        if self.movement != "learned" and self.level == "validation":
            raise InvalidInput("moves a k that is learned: must be train with movement shallow_to_deep", field="level")
        if self.num_starts > 1 and self.initial_k is not None:
            raise InvalidInput("give either initial_k or several num_starts", field="initial_k")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return LayerSelectNetwork(chain_from_one(space, method="layer_select")[0], self)


class LayerSelectNetwork(nn.Module):
    """The deepest chain, its head, or its heads, on the selected levels."""

    def __init__(self, space: ChainSpace, options: LayerSelect) -> None:
        super().__init__()
        self.space = space
        self.options = options
        self.chain: Chain = space.build(deepest(space))
        self.selector = LevelSelector(
            len(self.chain.blocks),
            curvature=options.curvature,
            initial_curvature=options.initial_curvature,
            normalized=options.normalized,
            initial_k=options.initial_k,
            num_starts=options.num_starts,
            is_learned=options.movement == "learned",
        )
        if options.flop_penalty:
            self.flops_L = nn.Buffer(_relative_flops(self.chain, space.input_shape))
        levels = range(1, 1 + len(self.chain.blocks))
        self.heads = give_levels_heads(self.chain, space, levels) if options.heads == "own" else nn.ModuleDict()

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        terms = self._terms(self.chain.hidden_states(x_B))
        y_BK: Tensor = self.chain.head(weighted_sum(self.selector.weights(), terms))
        return y_BK

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """Loss of the selection, and `auxiliary_weight` times the mean loss of the levels 1..L."""
        terms = self._terms(self.chain.hidden_states(x_B))
        loss = criterion(self.chain.head(weighted_sum(self.selector.weights(), terms)), y_B).mean()
        if not self.options.auxiliary_weight:
            return loss
        losses_L = torch.stack([criterion(self.chain.head(term), y_B).mean() for term in terms])
        return loss + self.options.auxiliary_weight * losses_L.mean()

    def penalty(self) -> Tensor:
        """`flop_penalty * sum_l w_l F_l / (F_L sum_l w_l)`, F_l the FLOPs of the chain of depth l."""
        if not self.options.flop_penalty:
            return torch.zeros_like(self.selector.k)
        weights_L = self.selector.weights()
        return self.options.flop_penalty * (weights_L * self.flops_L).sum() / weights_L.sum()

    def probe(self, x_B: Tensor) -> Probe:
        """The readings of every level; level 0, which has no head of its own, is read by that of level 1."""
        states = self.chain.hidden_states(x_B)
        stem_B = self.heads["1"](states[0]) if self.heads else states[0]
        weights_L = self.selector.weights()
        return probe_levels(
            torch.cat([torch.zeros_like(weights_L[:1]), weights_L]),
            [stem_B, *self._terms(states)],
            self.chain.head,
            normalized=self.options.normalized,
            states=states,
        )

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The scalar k, if it is learned."""
        return [self.selector.k] if self.selector.is_learned else []

    def constrain(self) -> None:
        """Clip k to [1, L]."""
        self.selector.clip()

    def anneal(self, progress: float) -> None:
        """Narrow the window; start anew."""
        self.selector.anneal(progress)

    def profile(self) -> tuple[float, ...]:
        """The weight of every level; level 0 has none."""
        return (0.0, *self.selector.weights().tolist())

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The allowed depths, nearest to k first (ties: shallow): by weight where there is one, by distance beyond.

        After several parts, the depths nearest to their ends come before the others, that of the least loss first.
        Where k was set, the loss alone decides.
        """
        allowed = depths_from_one(self.space)
        if not self.selector.is_learned:
            losses = readings[LEVEL_LOSS]
            return architectures_of(self.space, sorted(allowed, key=lambda depth: (losses[depth], depth)))
        ends = self.selector.ends()
        depths = sorted(allowed, key=lambda depth: (min(abs(depth - end) for end in ends), depth))
        found = {min(depths, key=lambda depth: (abs(depth - end), depth)) for end in ends}
        if len(found) > 1:
            losses = readings[LEVEL_LOSS]
            depths.sort(key=lambda depth: (0, losses[depth]) if depth in found else (1, 0.0))
        return architectures_of(self.space, depths)

    def _terms(self, states: Sequence[Tensor]) -> list[Tensor]:
        """What is selected of levels 1..L: their hidden states, or what their own heads say."""
        if not self.heads:
            return list(states[1:])
        return [head(h_B) for head, h_B in zip(self.heads.values(), states[1:], strict=True)]


def _relative_flops(chain: Chain, input_shape: tuple[int, ...]) -> Tensor:
    """Inference FLOPs `[L]` of the chains of depth 1..L with one head, relative to the deepest."""
    stem, *blocks, head = level_flops(chain, input_shape)
    flops_L = [stem + sum(blocks[:depth]) + head for depth in range(1, len(blocks) + 1)]
    return torch.tensor([flops / max(flops_L[-1], 1) for flops in flops_L])
