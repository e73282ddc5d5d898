"""Halting: every input has a depth of its own, where a unit that reads the hidden state lets it stop.

The supernet is the deepest chain. A halting unit after every level but the last reads the hidden state, and one of two
rules makes a depth of what the units say: that of PonderNet (`search_spaces.relaxations.ponder`), whose loss is an
expectation over levels, or that of ACT (`search_spaces.relaxations.act`), which mixes hidden states. All levels share
the head. In a tied chain they share the halting unit, too, as in the papers, whose step is a recurrent network's; else
every level has its own.

The unit is a head of the family with a single output, so it pools what the head pools. `forward` computes all levels
and returns what the network that stops says: under ACT that is one answer; under PonderNet, which draws the level, the
mean over draws. Level 0, the stem, is before the first step: no input stops there.
Shapes: B batch, L levels, M = L - 1 levels with a unit, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.readings import Readings
from search_spaces.relaxations.act import Act, act
from search_spaces.relaxations.chains import architectures_near, chain_from_one, deepest, weighted_sum
from search_spaces.relaxations.level_probe import mean_squares
from search_spaces.relaxations.ponder import divergence, log_geometric, log_mixture, log_stops
from search_spaces.relaxations.relaxation import Criterion, Probe
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class Halting:
    """Learns when each input stops, in a chain with one stage and nothing else to choose, tied or not."""

    rule: Literal["ponder", "act"] = "ponder"
    """ponder: PonderNet (Banino et al., 2021); act: adaptive computation time (Graves, 2016)."""
    beta: float = Field(default=0.01, ge=0)
    """PonderNet: weight of the divergence from the prior over depths."""
    lambda_p: float = Field(default=0.2, gt=0, lt=1)
    """PonderNet: parameter of the geometric prior; its mean, before it is truncated, is 1 / lambda_p levels."""
    tau: float = Field(default=0.001, ge=0)
    """ACT: what one level costs, in nats. Results depend on it."""
    epsilon: float = Field(default=0.01, gt=0, lt=1)
    """ACT: how far below one the halting units may sum up to where an input stops."""

    recipe = "joint"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        chain, _ = chain_from_one(space, method="halting")
        if getattr(chain, "num_tokens", 0):
            raise InvalidInput("halting reads the depth off a whole input: a language model would see what comes next")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        chain, _ = chain_from_one(space, method="halting")
        return PonderNetwork(chain, self) if self.rule == "ponder" else ActNetwork(chain, self)


class HaltingNetwork(nn.Module):
    """The deepest chain with halting units, and the count of where inputs have stopped."""

    def __init__(self, space: ChainSpace, options: Halting) -> None:
        super().__init__()
        self.space = space
        self.options = options
        self.chain: Chain = space.build(deepest(space))
        self.num_levels = len(self.chain.blocks)
        one_output, width = replace(space, num_classes=1), space.all_stages()[0].width[0]
        num_units = 1 if space.tied else self.num_levels - 1
        self.units = nn.ModuleList(one_output.make_head(width) for _ in range(num_units))
        self.stopped_L = nn.Buffer(torch.zeros(self.num_levels))
        """Inputs of the last validation pass that stopped at each level, or the sums of their probabilities."""

    def halting_logits(self, levels: Sequence[Tensor]) -> Tensor:
        """What the units say, `[B, M]`, before the sigmoid."""
        before_last = levels[:-1]
        if len(self.units) == len(before_last):
            logits_BM = torch.cat([unit(h_B) for unit, h_B in zip(self.units, before_last, strict=True)], dim=1)
        else:
            logits_BM = _at_once(self.units[0], before_last).squeeze(-1).T
        return logits_BM.to(torch.promote_types(logits_BM.dtype, torch.float32))

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The halting units."""
        return list(self.units.parameters())

    def constrain(self) -> None:
        """Nothing to do: the sigmoid is defined everywhere."""

    def train(self, mode: bool = True) -> HaltingNetwork:
        """A validation pass begins with the change to evaluation mode: forget the one before."""
        if not mode:
            self.stopped_L.zero_()
        super().train(mode)
        return self

    def profile(self) -> tuple[float, ...]:
        """Where inputs stopped in the last validation pass, as shares; so the mean level is their mean depth."""
        share_L = self.stopped_L / self.stopped_L.sum().clamp(min=1)
        return (0.0, *share_L.tolist())

    def mean_depth(self) -> float:
        """Levels that an input of the last validation pass took, on average."""
        return sum(level * share for level, share in enumerate(self.profile()))

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The allowed depths, nearest to the mean depth first (ties: shallow)."""
        return architectures_near(self.space, self.mean_depth())


class PonderNetwork(HaltingNetwork):
    """Inputs stop at random: an expectation over levels."""

    def __init__(self, space: ChainSpace, options: Halting) -> None:
        super().__init__(space, options)
        self.log_prior_L = nn.Buffer(log_geometric(options.lambda_p, self.num_levels), persistent=False)

    def forward(self, x_B: Tensor) -> Tensor:
        """Logarithms of the mean probabilities, which are logits `y_BK` as any others."""
        levels = self.chain.hidden_states(x_B)[1:]
        return log_mixture(log_stops(self.halting_logits(levels)), _at_once(self.chain.head, levels))

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """`sum_n p_n loss_n + beta KL(p || p_G)`, the mean over the batch."""
        levels = self.chain.hidden_states(x_B)[1:]
        log_p_BL = log_stops(self.halting_logits(levels))
        y_LBK = _at_once(self.chain.head, levels)
        loss_LB = criterion(y_LBK.flatten(0, 1), y_B.repeat(self.num_levels)).reshape(self.num_levels, -1)
        expected_B = (log_p_BL.exp() * loss_LB.T).sum(dim=1)
        return (expected_B + self.options.beta * divergence(log_p_BL, self.log_prior_L)).mean()

    def probe(self, x_B: Tensor) -> Probe:
        """`forward`, and every level alone; without a level, the others keep the ratios of their probabilities."""
        states = self.chain.hidden_states(x_B)
        log_p_BL = log_stops(self.halting_logits(states[1:]))
        y_LBK = _at_once(self.chain.head, states)
        self.stopped_L.add_(log_p_BL.exp().sum(dim=0))
        mixed_BK = log_mixture(log_p_BL, y_LBK[1:])
        others = (_others(level, self.num_levels) for level in range(self.num_levels))
        removals = [log_mixture(log_p_BL[:, kept].log_softmax(dim=1), y_LBK[1:][kept]) for kept in others]
        return Probe(logits=mixed_BK, levels=y_LBK.unbind(), removals=[mixed_BK, *removals], sizes=mean_squares(states))


class ActNetwork(HaltingNetwork):
    """Inputs stop where the halting units add up to one: a mixture of hidden states."""

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        levels = self.chain.hidden_states(x_B)[1:]
        return self._read(self.stops(levels).weights_BL, levels)

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """`loss + tau (N + R)`, the mean over the batch."""
        levels = self.chain.hidden_states(x_B)[1:]
        stops = self.stops(levels)
        loss_B = criterion(self._read(stops.weights_BL, levels), y_B)
        return (loss_B + self.options.tau * stops.time()).mean()

    def probe(self, x_B: Tensor) -> Probe:
        """`forward`, and every level alone; without a level, the others keep the ratios of their weights.

        An input that weighs nothing else is left with a hidden state of zeros.
        """
        states = self.chain.hidden_states(x_B)
        levels = states[1:]
        stops = self.stops(levels)
        self.stopped_L.add_(stops.stops_BL.sum(dim=0))
        mixed_BK = self._read(stops.weights_BL, levels)
        removals = []
        for level in range(self.num_levels):
            kept = _others(level, self.num_levels)
            weights_BL = stops.weights_BL[:, kept]
            total_B1 = weights_BL.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights_BL.dtype).tiny)
            removals.append(self._read(weights_BL / total_B1, [levels[other] for other in kept]))
        return Probe(
            logits=mixed_BK,
            levels=_at_once(self.chain.head, states).unbind(),
            removals=[mixed_BK, *removals],
            sizes=mean_squares(states),
        )

    def stops(self, levels: Sequence[Tensor]) -> Act:
        """When the inputs of these hidden states stop."""
        return act(self.halting_logits(levels).sigmoid(), self.options.epsilon)

    def _read(self, weights_BL: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """The head on the mixture of hidden states."""
        ones = (1,) * (levels[0].dim() - 1)
        weights_LB = weights_BL.T.reshape(len(levels), -1, *ones)
        y_BK: Tensor = self.chain.head(weighted_sum(weights_LB, levels))
        return y_BK


def _at_once(head: nn.Module, states: Sequence[Tensor]) -> Tensor:
    """`y_LBK` of hidden states: one pass, so that batch statistics of a head are those of all of them."""
    y_LBK: Tensor = head(torch.cat(list(states))).unflatten(0, (len(states), -1))
    return y_LBK


def _others(level: int, num_levels: int) -> list[int]:
    return [other for other in range(num_levels) if other != level]
