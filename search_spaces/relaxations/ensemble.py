"""A sum of chains of several depths that grows member by member: weighted as in AdaNet, or plain as in boosting.

AdaNet (Cortes et al., ICML 2017, arXiv 1607.01097): `f = sum_j w_j h_j`, trained for `mean loss + sum_j (lambda r(h_j)
+ beta) |w_j|`. As in the tutorials of the authors' code, `r` is the square root of a member's depth.
Boosting: `f = sum_j h_j`, where a new member starts at `h = 0`, so that the sum starts from where it was.

An ensemble that inherits its first members from another, or its first from a chain, keeps them frozen and trains its
last; one that inherits nothing trains all of them. Shapes: B batch, K classes, J members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from math import sqrt
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import silence
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import TrialFailed
from search_spaces.readings import Readings
from search_spaces.relaxations.chains import architectures_of, chain_of_depths, check_depths
from search_spaces.relaxations.relaxation import Criterion
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class Ensemble:
    """Learns how much each member of given depth contributes."""

    depths: tuple[int, ...] = ()
    """One member per depth; empty: one of every depth of the space."""
    mix: Literal["weighted", "sum"] = "weighted"
    """Learned weights, which cost something; or every member counts once, and a new one starts at zero."""
    complexity: float = Field(default=0.001, ge=0)
    """Lambda: what the weight of a member costs, times the root of its depth."""
    sparsity: float = Field(default=0.0001, ge=0)
    """Beta: what the weight of any member costs."""

    @property
    def recipe(self) -> str:
        """A plain sum has no weights of members to learn."""
        return "joint" if self.mix == "weighted" else "standard"

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        _, allowed = chain_of_depths(space, method="ensemble")
        check_depths(self.depths, allowed)

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        chain_space, allowed = chain_of_depths(space, method="ensemble")
        return EnsembleNetwork(chain_space, self.depths or allowed, self)


class EnsembleNetwork(nn.Module):
    """The members and their weights."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: Ensemble) -> None:
        super().__init__()
        self.space = space
        self.depths = depths
        self.options = options
        self.members = nn.ModuleList(space.build(architecture) for architecture in architectures_of(space, depths))
        is_sum = options.mix == "sum"
        share = 1.0 if is_sum else 1 / len(depths)
        self.weights_J = nn.Parameter(torch.full((len(depths),), share), requires_grad=not is_sum)
        self.num_frozen = 0

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        logits = torch.stack([member(x_B) for member in self.members], dim=-1)
        y_BK: Tensor = logits @ self.weights_J
        return y_BK

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """Equation 4 of the paper without the penalty, which `penalty` adds."""
        return criterion(self(x_B), y_B).mean()

    def penalty(self) -> Tensor:
        """What the weights cost."""
        costs = [weight_cost(depth, self.options) for depth in self.depths]
        return self.weights_J.abs() @ torch.tensor(costs, device=self.weights_J.device)

    def inherit(self, parent: Mapping[str, Tensor], *, members: int, temperature: float = 1.0) -> None:
        """Take the first members, and freeze them, as they are in another ensemble; or the first, from a chain.

        A new member starts with as much weight as the mean of the others; in a plain sum with a weight of one and an
        output of zero. What the others say is divided by `temperature`.

        Raises:
            TrialFailed: the parent is not the beginning of this ensemble.
        """
        if "weights_J" not in parent:
            parent = {"weights_J": torch.ones(1), **{f"members.0.{name}": tensor for name, tensor in parent.items()}}
        if self.options.mix == "sum":
            for member in self.members[members:]:
                silence(member.get_submodule("head"))
        state = self.state_dict()
        prefixes = tuple(f"members.{index}." for index in range(members))
        for name, tensor in parent.items():
            if name.startswith(prefixes):
                if name not in state or state[name].shape != tensor.shape:
                    raise TrialFailed(f"an ensemble of depths {list(self.depths)} has no place for {name}")
                state[name] = tensor
        old_J = parent["weights_J"][:members] / temperature
        new = old_J.mean() if self.options.mix == "weighted" else torch.ones_like(old_J[0])
        state["weights_J"] = torch.cat([old_J, new.expand(len(self.depths) - members)])
        self.load_state_dict(state)
        self.freeze(members=members)

    def freeze(self, *, members: int, temperature: float = 1.0) -> None:
        """Train the first members no more."""
        self.num_frozen = members
        for parameter in self._frozen_parameters():
            parameter.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> EnsembleNetwork:
        """Frozen members stay in evaluation mode, so that their running statistics do not move."""
        super().train(mode)
        for member in self.members[: self.num_frozen]:
            member.eval()
        return self

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The weights of the members, if they are learned."""
        return [self.weights_J] if self.options.mix == "weighted" else []

    def constrain(self) -> None:
        """Nothing to do: a weight may be negative."""

    def profile(self) -> tuple[float, ...]:
        """Sum of the sizes of the weights of the members of every depth."""
        sizes = [0.0] * (max(self.depths) + 1)
        for depth, weight in zip(self.depths, self.weights_J.tolist(), strict=True):
            sizes[depth] += abs(weight)
        return tuple(sizes)

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The depths of the members, greatest weight first (ties: shallow); those of a plain sum in their order."""
        profile = self.profile()
        ranked = list(dict.fromkeys(self.depths))
        if self.options.mix == "weighted":
            ranked.sort(key=lambda depth: (-profile[depth], depth))
        return architectures_of(self.space, ranked)

    def _frozen_parameters(self) -> Sequence[nn.Parameter]:
        return list(chain.from_iterable(member.parameters() for member in self.members[: self.num_frozen]))


def weight_cost(depth: int, options: Ensemble) -> float:
    """`lambda r(h) + beta` of a member of this depth."""
    return options.complexity * sqrt(depth) + options.sparsity
