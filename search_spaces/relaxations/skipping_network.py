"""What the networks have in common in which every input skips blocks of its own: SkipNet's and BlockDrop's.

Shapes: B batch, M inputs of a validation pass, N blocks that can be skipped.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.readings import Readings
from search_spaces.relaxations.chains import architectures_near, chain_from_one
from search_spaces.space import SearchSpace


class SkippingNetwork(nn.Module):
    """A chain, and what the inputs of the last validation pass executed of it."""

    space: ChainSpace
    chain: Chain
    blocks: tuple[int, ...]
    """That can be skipped, from 1."""

    def start_counting(self) -> None:
        """Called once, when chain and blocks are there."""
        self.executed_N = nn.Buffer(torch.zeros(len(self.blocks)))
        """Inputs of the last validation pass that executed each skippable block."""
        self.num_inputs = nn.Buffer(torch.zeros(()))
        """Of the last validation pass."""
        self._policies: list[Tensor] = []

    def count(self, g_BN: Tensor) -> None:
        """Count a batch that was validated: 1 where an input executed a block, else 0."""
        self.executed_N.add_(g_BN.sum(dim=0))
        self.num_inputs.add_(len(g_BN))
        self._policies.append(g_BN.bool())

    def policies(self) -> Tensor:
        """What every input of the last validation pass executed, `[M, N]`. No part of the state."""
        return torch.cat([self.executed_N.new_zeros(0, len(self.blocks), dtype=torch.bool), *self._policies])

    def num_policies(self) -> int:
        """Distinct ones among them."""
        return len(torch.unique(self.policies(), dim=0))

    def constrain(self) -> None:
        """Nothing to do: scores are defined everywhere."""

    def train(self, mode: bool = True) -> Self:
        """A validation pass begins with the change to evaluation mode: forget the one before."""
        if not mode:
            self.executed_N.zero_()
            self.num_inputs.zero_()
            self._policies.clear()
        return super().train(mode)

    def profile(self) -> tuple[float, ...]:
        """Share of the last validation pass that executed each level; stem and what cannot be skipped: all of it."""
        share_N = (self.executed_N / self.num_inputs.clamp(min=1)).tolist()
        shares = dict(zip(self.blocks, share_N, strict=True))
        return tuple(shares.get(level, 1.0) for level in range(len(self.chain.blocks) + 1))

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The allowed depths, nearest to the mean number of executed blocks first (ties: shallow)."""
        return architectures_near(self.space, sum(self.profile()[1:]))


def chain_with_skips(space: SearchSpace, *, method: str) -> ChainSpace:
    """`space`, known to be one whose inputs can skip blocks.

    Raises:
        InvalidInput: it has something else to choose than a depth, or is one of language models.
    """
    chain, _ = chain_from_one(space, method=method)
    if getattr(chain, "num_tokens", 0):
        raise InvalidInput(f"{method} decides by a whole input: a language model would see what comes next")
    return chain
