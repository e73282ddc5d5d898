"""DARTS: mixtures of operations and of depths (Liu, Simonyan & Yang, ICLR 2019, arXiv 1806.09055), and its family.

The supernet is a chain of mixed blocks, or of mixed cells, whose levels are mixed in turn: with one stage it is
`head(sum_d p_d h_d)`. How blocks, cells and depths are mixed is told in `mixed_blocks`, `mixed_cells` and
`mixed_depth`; how parameters become weights, in `mixing`.

DARTS is known to drift to paths without weights, which learn fastest: identity operations, and here also the shallow
exits of the mixture of depths. The remedies of the literature are options: warm-up, dropout on such paths, an auxiliary
path, early stopping, and selection by removal instead of by weight.

Differences from the paper: depth is learned; nothing is pruned to the strongest two edges of a node, since the spaces
here ask for one operation per block or edge; and what is derived is a ranking, best depth first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from search_spaces.cell import Cell
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.relaxations.chains import chain_space
from search_spaces.relaxations.darts_network import DartsNetwork, Select
from search_spaces.relaxations.mixing import Mixing, Weights
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Darts:
    """Learns the depth of every stage, and the operation and inner width of every block or edge."""

    order: Literal["first", "second"] = "first"
    """Of the architecture gradient. With the second, a step costs two to three times as much."""
    weights: Weights = "softmax"
    """How parameters become weights: `softmax`, independent `sigmoid` (FairDARTS) or `gumbel` draws (GDAS, TAS)."""
    hard: bool = False
    """Gumbel draws are one-hot in the forward pass, with the gradient of the soft ones."""
    tau_start: float = Field(default=10.0, gt=0)
    """Temperature of Gumbel draws at first. GDAS: 10; TAS: 5."""
    tau_end: float = Field(default=0.1, gt=0)
    """Temperature to which it falls, linearly over the epochs."""
    select: Select = "weights"
    """What ranks depths and chooses operations: their `weights`; what the `removal` of each costs on validation data
    (DARTS-PT); or the `level_loss` of each depth alone, the operations by their weights."""
    flops_target: float | None = Field(default=None, gt=0)
    """Expected inference FLOPs to search for: up to 1 a part of the costliest network's, above 1 FLOPs. None: any."""
    flops_penalty: float = Field(default=2.0, ge=0)
    """What the logarithm of missing that target by more than 5 % costs, in nats."""
    skip_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on paths without weights, identities and shallow exits, at first; it falls to 0. P-DARTS: up to 0.7."""
    auxiliary_skip: float = Field(default=0.0, ge=0)
    """Weight, at first, of an auxiliary path without weights beside every mixture; it falls to 0. DARTS-: 1."""
    architecture_learning_rate: float = Field(default=3e-4, gt=0)
    """Of Adam. The paper's default hardly moves the parameters within a few hundred steps."""
    architecture_weight_decay: float = Field(default=1e-3, ge=0)
    """Of Adam."""
    warmup_epochs: int = Field(default=0, ge=0)
    """Epochs of weights alone, so that an operation is not judged by its initialisation."""
    max_skips: int | None = Field(default=None, ge=1)
    """The architecture stays as it is once so many blocks or edges are skipped (DARTS+: 2 edges of a cell)."""
    stable_epochs: int | None = Field(default=None, ge=1)
    """The architecture stays as it is once no ranking of candidates has changed for so many epochs (DARTS+: 10)."""
    eigenvalue_ratio: float | None = Field(default=None, gt=1)
    """The architecture goes back, and stays as it is, once the largest eigenvalue of its Hessian on validation data has
    grown by this factor within four epochs (R-DARTS: 1.3). Measured at every epoch's start, and paid for."""
    eigenvalue_min_epochs: int = Field(default=10, ge=0)
    """Epochs of architecture search before the eigenvalue is heeded (R-DARTS: 10)."""

    recipe = "bilevel"

    def __post_init__(self) -> None:
        if self.hard and self.weights != "gumbel":
            raise InvalidInput(f"needs weights: gumbel, got {self.weights}", field="hard")
        if self.tau_end > self.tau_start:
            raise InvalidInput(f"must be at most tau_start {self.tau_start}, got {self.tau_end}", field="tau_end")

    def recipe_options(self) -> Mapping[str, Any]:
        return {
            "order": self.order,
            "architecture_learning_rate": self.architecture_learning_rate,
            "architecture_weight_decay": self.architecture_weight_decay,
            "warmup_epochs": self.warmup_epochs,
            "max_skips": self.max_skips,
            "stable_epochs": self.stable_epochs,
            "eigenvalue_ratio": self.eigenvalue_ratio,
            "eigenvalue_min_epochs": self.eigenvalue_min_epochs,
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
        if self.select == "level_loss" and len(chain.all_stages()) > 1:
            raise InvalidInput(f"level_loss needs one stage, got {len(chain.stages)}", field="select")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        mixing = Mixing(
            weights=self.weights,
            hard=self.hard,
            tau_start=self.tau_start,
            tau_end=self.tau_end,
            initial_skip_dropout=self.skip_dropout,
            initial_auxiliary_skip=self.auxiliary_skip,
        )
        return DartsNetwork(
            chain_space(space, method="darts"),
            mixing,
            select=self.select,
            flops_target=self.flops_target,
            flops_strength=self.flops_penalty,
        )
