"""SkipNet over a space of depths: the deepest chain, whose inputs skip blocks (Wang et al., ECCV 2018).

`gated_network` says how gates learn. As a supernet, gates are the architecture: weight decay is for weights alone, and
depths are ranked by how many blocks the inputs execute.
Shapes: B batch, N gates, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.hard_gates import hard
from search_spaces.errors import InvalidInput
from search_spaces.readings import Readings
from search_spaces.relaxations.chains import architectures_near, chain_from_one, deepest
from search_spaces.relaxations.gated_network import FEED_FORWARD, GatedNetwork, GateTraining
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class SkipNet(GateTraining):
    """Learns which blocks each input skips, in a chain with one stage and nothing else to choose, tied or not."""

    recipe = "joint"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        chain = _chain(space)
        if self.gate in FEED_FORWARD:
            with torch.device("meta"):  # shapes alone decide whether it can be built
                SkipNetwork(chain, self)

    def supernet(self, space: SearchSpace) -> nn.Module:
        return SkipNetwork(_chain(space), self)


class SkipNetwork(GatedNetwork):
    """The deepest chain with gates, and the count of how often they let inputs pass."""

    def __init__(self, space: ChainSpace, options: SkipNet) -> None:
        super().__init__(space, deepest(space), options)
        self.executed_N = nn.Buffer(torch.zeros(len(self.blocks)))
        """Inputs of the last validation pass that executed each skippable block."""
        self.num_inputs = nn.Buffer(torch.zeros(()))
        """Of the last validation pass."""

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` under the hard policy."""
        y_BK, _, g_BN = self.walk(x_B, hard)
        if not self.training:
            self.executed_N.add_(g_BN.sum(dim=0))
            self.num_inputs.add_(len(g_BN))
        return y_BK

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Those of the gates."""
        return list(self.gates.parameters())

    def constrain(self) -> None:
        """Nothing to do: gates are defined everywhere."""

    def train(self, mode: bool = True) -> SkipNetwork:
        """A validation pass begins with the change to evaluation mode: forget the one before."""
        if not mode:
            self.executed_N.zero_()
            self.num_inputs.zero_()
        super().train(mode)
        return self

    def profile(self) -> tuple[float, ...]:
        """Share of the last validation pass that executed each level; stem and blocks without a gate: all of it."""
        share_N = (self.executed_N / self.num_inputs.clamp(min=1)).tolist()
        shares = dict(zip(self.blocks, share_N, strict=True))
        return tuple(shares.get(level, 1.0) for level in range(len(self.chain.blocks) + 1))

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The allowed depths, nearest to the mean number of executed blocks first (ties: shallow)."""
        return architectures_near(self.space, sum(self.profile()[1:]))


def _chain(space: SearchSpace) -> ChainSpace:
    """`space`, known to be one whose inputs can skip blocks."""
    chain, _ = chain_from_one(space, method="skipnet")
    if getattr(chain, "num_tokens", 0):
        raise InvalidInput("skipnet's gates read a whole input: a language model would see what comes next")
    return chain
