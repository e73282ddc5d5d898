"""DARTS: softmax mixtures of operations and of depths (Liu, Simonyan & Yang, ICLR 2019, arXiv 1806.09055).

The supernet is a chain of mixed blocks, or of mixed cells, whose levels are mixed in turn: with one stage it is
`head(sum_d p_d h_d)`. How blocks, cells and depths are mixed is told in `mixed_blocks`, `mixed_cells` and
`mixed_depth`.

Differences from the paper: depth is learned; nothing is pruned to the strongest two edges of a node, since the spaces
here ask for one operation per block or edge; and what is derived is a ranking, best depth first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.cell import Cell
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer
from search_spaces.errors import InvalidInput
from search_spaces.relaxations.chains import chain_space, max_depths, with_depths
from search_spaces.relaxations.mixed_blocks import MixedBlocks
from search_spaces.relaxations.mixed_cells import MixedCells
from search_spaces.relaxations.mixed_depth import MixedStage, most_probable_depths, total_depth
from search_spaces.relaxations.relaxation import Readings
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

MAX_DERIVED = 100
"""Several stages have more combinations of depths than any budget trains; the best of them are derived."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Darts:
    """Learns the depth of every stage, and the operation and inner width of every block or edge."""

    order: Literal["first", "second"] = "first"
    """Of the architecture gradient. With the second, a step costs two to three times as much."""
    architecture_learning_rate: float = Field(default=3e-4, gt=0)
    """Of Adam. The paper's default hardly moves the parameters within a few hundred steps."""
    architecture_weight_decay: float = Field(default=1e-3, ge=0)
    """Of Adam."""
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
        if chain.tied:
            raise InvalidInput("darts gives every block weights and a choice of its own: space.tied must be false")
        if not isinstance(chain, Cell) and type(chain).compose_block is not ChainSpace.compose_block:
            raise InvalidInput(f"darts mixes operations and inner widths; {chain.family} blocks have other choices")
        if (
            len(chain.all_ops()) == 1
            and len(chain.block_width) <= 1
            and all(len(s.depth) == 1 for s in chain.all_stages())
        ):
            raise InvalidInput("darts needs a depth, an operation or a block width to choose, got a single chain")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return DartsNetwork(chain_space(space, method="darts"))


class DartsNetwork(nn.Module):
    """Stem, stages of mixed blocks, head."""

    def __init__(self, space: ChainSpace) -> None:
        super().__init__()
        self.space = space
        self.mixture = MixedCells(space) if isinstance(space, Cell) else MixedBlocks(space)
        self.stem = space.make_stem(space.all_stages()[0].width[0])
        blocks = iter(self.mixture.make_blocks())
        self.stages = nn.ModuleList(
            MixedStage([next(blocks) for _ in range(num_levels)], stage.depth)
            for stage, num_levels in zip(space.all_stages(), max_depths(space), strict=True)
        )
        self.head = space.make_head(space.all_stages()[-1].width[0])

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        h_B = self.stem(x_B)
        weights = iter(self.mixture.weights())
        for stage in self._mixed_stages():
            h_B = stage(h_B, [next(weights) for _ in stage.blocks])
        y_BK: Tensor = self.head(h_B)
        return y_BK

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Alpha of the blocks and beta of every stage, where there is a choice."""
        all_logits = [self.mixture.alpha, *(stage.beta_D for stage in self._mixed_stages())]
        return [parameter for parameter in all_logits if isinstance(parameter, nn.Parameter)]

    def constrain(self) -> None:
        """Nothing to do: the softmax is defined everywhere."""

    def profile(self) -> tuple[float, ...]:
        """Probability of every total depth."""
        return total_depth(self._mixed_stages())

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The strongest operations, for the depths in the order of their probability."""
        ranked = most_probable_depths(self._mixed_stages(), MAX_DERIVED)
        return tuple(
            answer(self.space, with_depths(self.space, depths) | self.mixture.decisions(depths)) for depths in ranked
        )

    def _mixed_stages(self) -> list[MixedStage]:
        return [stage for stage in self.stages if isinstance(stage, MixedStage)]
