"""BlockDrop over a space of depths: the deepest chain, with a policy network that drops blocks (Wu et al., CVPR 2018).

`policed_network` says how both learn. As a supernet, the policy network is the architecture: weight decay is for
weights alone, and depths are ranked by how many blocks the inputs execute.
Shapes: B batch, N blocks that can be dropped, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.hard_gates import hard
from search_spaces.dynamic.skipping import masked
from search_spaces.relaxations.chains import deepest
from search_spaces.relaxations.policed_network import PolicedNetwork, PolicyTraining
from search_spaces.relaxations.skipping_network import SkippingNetwork, chain_with_skips
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class BlockDrop(PolicyTraining):
    """Learns which blocks each input drops, in a chain with one stage and nothing else to choose, tied or not."""

    policy_learning_rate: float = Field(default=1.0, gt=0)
    """Peak learning rate of the policy network, as a multiple of the chain's."""

    recipe = "joint"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {"architecture_learning_rate_factor": self.policy_learning_rate}

    def check(self, space: SearchSpace) -> None:
        chain_with_skips(space, method="blockdrop")

    def supernet(self, space: SearchSpace) -> nn.Module:
        return BlockDropNetwork(chain_with_skips(space, method="blockdrop"), self)


class BlockDropNetwork(SkippingNetwork, PolicedNetwork):
    """The deepest chain with a policy network, and the count of how often it keeps blocks."""

    def __init__(self, space: ChainSpace, options: BlockDrop) -> None:
        PolicedNetwork.__init__(self, space, deepest(space), options)
        self.start_counting()

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` under the policy that is the more probable one, block by block."""
        y_BK, u_BN = self.answer(x_B, hard, step=masked)
        if not self.training:
            self.count(u_BN)
        return y_BK

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Those of the policy network."""
        return list(self.policy.parameters())
