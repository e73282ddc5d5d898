"""A price on the expected FLOPs of what a mixture stands for (TAS; Dong & Yang, NeurIPS 2019, arXiv 1905.09717).

The expected inference FLOPs are those of stem and head and, for every stage, `sum_l P(depth >= l) E[F_l]`, where F_l is
what block l costs with each of its candidates. While they are further than 5 % from a target T, the architecture pays
`2 |log(E[F] / T)|`, whose gradient is that of TAS's `2 log E[F]` above the target and `-2 log E[F]` below.

Differences from TAS: it looks at the most probable network to see on which side of the target the search is, and there
from 5 % below the target up to it. Depths are coarse, and a target between two of them would be missed for ever; the
expectation can always meet it.
Shapes: L levels of the whole chain, O candidates of a block, D depths of a stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from search_spaces.chain import Chain
from search_spaces.flops import level_flops

TOLERANCE = 0.05
"""TAS, section 4.1: t."""


class ExpectedFlops(nn.Module):
    """The penalty, for chains with all blocks that have one candidate throughout.

    A `target` of at most one is a part of what the costliest of these chains takes.
    """

    def __init__(
        self, chains: Sequence[Chain], input_shape: tuple[int, ...], *, target: float, strength: float
    ) -> None:
        super().__init__()
        (stem, *_, head), *_ = parts = [level_flops(chain, input_shape) for chain in chains]
        self.fixed = stem + head
        # Beside the state of the network, not in it: it is known from the space.
        self.flops_LO = nn.Buffer(torch.tensor([part[1:-1] for part in parts]).T.float(), persistent=False)
        self.strength = strength
        self.target = target
        if target <= 1:
            self.target *= self.fixed + sum(max(level) for level in zip(*(part[1:-1] for part in parts), strict=True))

    def forward(
        self, depths: Sequence[tuple[int, ...]], depth_probabilities: Sequence[Tensor], op_probabilities_LO: Tensor
    ) -> Tensor:
        """What the architecture pays, a scalar; per stage, its depths and their probabilities `[D]`."""
        ratio = self.expected(depths, depth_probabilities, op_probabilities_LO) / self.target
        is_outside = (ratio - 1).abs() > TOLERANCE
        return self.strength * is_outside * ratio.log().abs()

    def expected(
        self, depths: Sequence[tuple[int, ...]], depth_probabilities: Sequence[Tensor], op_probabilities_LO: Tensor
    ) -> Tensor:
        """Expected inference FLOPs, a scalar."""
        reached_L = torch.cat([reach(*stage) for stage in zip(depths, depth_probabilities, strict=True)])
        return self.fixed + (reached_L * (op_probabilities_LO * self.flops_LO).sum(dim=1)).sum()


def reach(depths: tuple[int, ...], probabilities_D: Tensor) -> Tensor:
    """`P(depth >= l)` for the levels l = 1..L of a stage, `[L]`."""
    levels = torch.zeros(1 + max(depths), dtype=probabilities_D.dtype, device=probabilities_D.device)
    levels = levels.index_add(0, torch.tensor(depths, device=levels.device), probabilities_D)
    return levels.flip(0).cumsum(0).flip(0)[1:]
