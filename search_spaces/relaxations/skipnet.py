"""SkipNet over a space of depths: the deepest chain, whose inputs skip blocks (Wang et al., ECCV 2018).

`gated_network` says how gates learn. As a supernet, gates are the architecture: weight decay is for weights alone, and
depths are ranked by how many blocks the inputs execute.
Shapes: B batch, N gates, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.hard_gates import hard
from search_spaces.relaxations.chains import deepest
from search_spaces.relaxations.gated_network import FEED_FORWARD, GatedNetwork, GateTraining
from search_spaces.relaxations.skipping_network import SkippingNetwork, chain_with_skips
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class SkipNet(GateTraining):
    """Learns which blocks each input skips, in a chain with one stage and nothing else to choose, tied or not."""

    gate_learning_rate: float = Field(default=1.0, gt=0)
    """Peak learning rate of the gates, as a multiple of the weights'."""

    recipe = "joint"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {"architecture_learning_rate_factor": self.gate_learning_rate}

    def check(self, space: SearchSpace) -> None:
        chain = chain_with_skips(space, method="skipnet")
        if self.gate in FEED_FORWARD:
            with torch.device("meta"):  # shapes alone decide whether it can be built
                SkipNetwork(chain, self)

    def supernet(self, space: SearchSpace) -> nn.Module:
        return SkipNetwork(chain_with_skips(space, method="skipnet"), self)


class SkipNetwork(SkippingNetwork, GatedNetwork):
    """The deepest chain with gates, and the count of how often they let inputs pass."""

    def __init__(self, space: ChainSpace, options: SkipNet) -> None:
        GatedNetwork.__init__(self, space, deepest(space), options)
        self.start_counting()

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` under the hard policy."""
        y_BK, _, g_BN = self.walk(x_B, hard)
        if not self.training:
            self.count(g_BN)
        return y_BK

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Those of the gates."""
        return list(self.gates.parameters())
