"""Elastic depth: one network whose every prefix is trained, so that all depths are scored at the price of one training.

Three ways to train prefixes, which combine:

- heads at many levels in every step: all allowed depths, or the sandwich of the deepest, the shallowest and a few at
  random (Yu & Huang, ICCV 2019, arXiv 1903.05134; depth: once-for-all, Cai et al., ICLR 2020, arXiv 1908.09791);
- distillation of the deepest into the others (the same papers);
- blocks left out at random: stochastic depth, linearly more towards the end (Huang et al., ECCV 2016, arXiv
  1603.09382), or LayerDrop, everywhere alike (Fan et al., ICLR 2020, arXiv 1909.11556). A block that is left out is
  not computed, and its FLOPs are not paid.

Prefixes are ranked by how they do on validation data inside the network. That ranking is cheap and biased, since the
shared blocks serve all depths at once, and it is noisy. So by default the first is not the best but the shallowest that
is within one standard error of it (Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3), the
error being that of the difference on the same examples: what a greater depth has not earned, a longer training of the
smaller one is better spent on.

Differences from the papers: the depth is the only thing that is elastic; nothing is scaled at test time, since the
derived networks are trained on. Shapes: B batch, K classes, L levels.
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
from search_spaces.readings import LEVEL_ACCURACY, LEVEL_DOUBT, LEVEL_LOSS, Readings
from search_spaces.relaxations.chains import (
    architecture_of,
    architectures_of,
    chain_of_depths,
    check_depths,
    middle_depth,
)
from search_spaces.relaxations.distillation import distillation
from search_spaces.relaxations.level_heads import give_levels_heads, read_levels
from search_spaces.relaxations.relaxation import Criterion, Probe
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class Elastic:
    """Trains the prefixes of a chain with one stage and nothing else to choose."""

    depths: tuple[int, ...] = ()
    """Depths to train, among those of the space; empty: all of them."""
    heads: Literal["own", "shared"] = "own"
    """A head for every depth, or one that reads every level."""
    sampling: Literal["all", "sandwich", "deepest"] = "all"
    """Which depths a step trains."""
    num_random: int = Field(default=2, ge=0)
    """Depths at random in a sandwich, beside the deepest and the shallowest."""
    distillation: float = Field(default=0.0, ge=0, le=1)
    """Share of the deepest network's answers, rather than the labels, in what the others learn."""
    temperature: float = Field(default=1.0, gt=0)
    """Of the distilled answers."""
    drop_rate: float = Field(default=0.0, ge=0, lt=1)
    """Probability that a block is left out of a training step; that of the last block if it grows."""
    drop_growth: Literal["linear", "constant"] = "linear"
    """Linear: from (nearly) none at the first block, as in stochastic depth; constant: LayerDrop."""
    rank_by: Literal["one_standard_error", "level_accuracy", "level_loss"] = "one_standard_error"
    """Which depth comes first: one of those that may be the best, as `in_doubt` says, or the best. The others follow by
    their accuracy or loss."""
    in_doubt: Literal["shallowest", "middle"] = "shallowest"
    """Which of the depths within one standard error of the best: the shallowest, or that nearest to the geometric mean
    of the smallest and the largest depth."""

    recipe = "standard"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        _, allowed = chain_of_depths(space, method="elastic")
        check_depths(self.depths, allowed)
        if len(set(self.depths)) != len(self.depths) or len(self.depths) == 1:
            raise InvalidInput(f"must be at least two and distinct, got {list(self.depths)}", field="depths")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        chain, allowed = chain_of_depths(space, method="elastic")
        return ElasticNetwork(chain, tuple(sorted(self.depths or allowed)), self)


class ElasticNetwork(nn.Module):
    """The deepest of the depths, with heads on the way."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: Elastic) -> None:
        super().__init__()
        self.space = space
        self.depths = depths
        self.options = options
        self.chain: Chain = space.build(architecture_of(space, depths[-1]))
        self.heads = give_levels_heads(self.chain, space, depths) if options.heads == "own" else nn.ModuleDict()
        self._kept = self._all_kept

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the deepest prefix."""
        return self._logits(self.depths[-1], self.chain.hidden_states(x_B)[-1])

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """Mean loss of the depths that this step trains."""
        states = self._states_with_drops(x_B)
        logits = {depth: self._logits(depth, states[depth]) for depth in self._sample()}
        losses = {depth: criterion(y_BK, y_B).mean() for depth, y_BK in logits.items()}
        alpha, deepest = self.options.distillation, self.depths[-1]
        if alpha:
            teacher_BK = logits[deepest].detach()
            for depth in losses.keys() - {deepest}:
                taught = distillation(logits[depth], teacher_BK, self.options.temperature)
                losses[depth] = (1 - alpha) * losses[depth] + alpha * taught
        return torch.stack(list(losses.values())).mean()

    def probe(self, x_B: Tensor) -> Probe:
        """Every level by its own head; a level without one is read by the head of the next depth that has one."""
        levels = read_levels(self.chain.hidden_states(x_B), self.depths, self._logits)
        return Probe(logits=levels[-1], levels=levels)

    def draw(self) -> int:
        """Draw the blocks that the next step keeps; returns how many, since all blocks are alike."""
        count = len(self._all_kept)
        growth = torch.arange(1, count + 1) / count if self.options.drop_growth == "linear" else torch.ones(count)
        self._kept = (torch.rand(count) >= self.options.drop_rate * growth).tolist()
        return sum(self._kept)

    def architecture_parameters(self) -> list[nn.Parameter]:
        """None: depths are ranked, not learned by gradient."""
        return []

    def constrain(self) -> None:
        """Nothing to do."""

    def profile(self) -> tuple[float, ...]:
        """The share of every level in what is trained."""
        share = dict.fromkeys(self.depths, 1.0)
        if self.options.sampling == "sandwich":
            between = self.depths[1:-1]
            share |= dict.fromkeys(between, min(self.options.num_random / max(len(between), 1), 1.0))
        elif self.options.sampling == "deepest":
            share = {self.depths[-1]: 1.0}
        total = sum(share.values())
        return tuple(share.get(level, 0.0) / total for level in range(self.depths[-1] + 1))

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The depths by what they do on validation data inside the network (ties: shallow)."""
        accuracy, loss = readings[LEVEL_ACCURACY], readings[LEVEL_LOSS]
        by_loss = self.options.rank_by == "level_loss"
        ranked = sorted(self.depths, key=lambda depth: (loss[depth] if by_loss else -accuracy[depth], depth))
        if self.options.rank_by == "one_standard_error":
            best, doubt = accuracy[ranked[0]], readings[LEVEL_DOUBT]
            candidates = [depth for depth in self.depths if best - accuracy[depth] <= doubt[depth]]
            is_middle = self.options.in_doubt == "middle"
            first = middle_depth(self.depths, among=candidates) if is_middle else candidates[0]
            ranked = [first, *(depth for depth in ranked if depth != first)]
        return architectures_of(self.space, ranked)

    @property
    def _all_kept(self) -> list[bool]:
        return [True] * self.depths[-1]

    def _sample(self) -> Sequence[int]:
        """The depths that one step trains, the deepest among them; always equally many."""
        match self.options.sampling:
            case "all":
                return self.depths
            case "deepest":
                return self.depths[-1:]
            case _:
                between = self.depths[1:-1]
                picked = torch.randperm(len(between))[: self.options.num_random].tolist()
                return [self.depths[0], *(between[index] for index in sorted(picked)), self.depths[-1]]

    def _states_with_drops(self, x_B: Tensor) -> list[Tensor]:
        """The hidden state after every level, where a block that is left out passes on its input."""
        states = [self.chain.stem(x_B)]
        for block, kept in zip(self.chain.blocks, self._kept, strict=True):
            states.append(block(states[-1]) if kept else states[-1])
        return states

    def _logits(self, depth: int, h_B: Tensor) -> Tensor:
        head = self.heads[str(depth)] if self.options.heads == "own" else self.chain.head
        y_BK: Tensor = head(h_B)
        return y_BK
