"""One chain with masks over its weights: a round of pruning, which cuts what the round before it has trained.

The first round has masks of ones and inherits nothing. A later one takes over the masks of its parent, cuts out the
smallest of the weights that its parent has trained, and starts from those that are left as `start` says. All rounds
cost the same, since zeros are multiplied by as well (`search_spaces.pruning`); what a kernel without them would do is
the profile: the effective FLOPs of every level, those of the head with the last, which add up to the network's.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture, Option
from search_spaces.buffers import as_buffers
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.pruning import Scope, effective_flops, load_under_masks, mask_layers, prune_smallest, unmasked
from search_spaces.readings import Readings
from search_spaces.relaxations.chains import chain_with
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

Start = Literal["initial", "trained", "random"]


@validated(frozen=True, kw_only=True, config=CONFIG)
class Pruned:
    """Trains what is left of a chain."""

    architecture: Mapping[str, Option] = Field(default_factory=dict)
    """Decisions by name; of those not named, depths are the largest, and the others take their first option."""
    start: Start = "initial"
    """What a round's weights start from: those that the first round started from, those that the round before has
    trained, or fresh ones."""

    recipe = "standard"

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        chain_with(space, self.architecture, method="pruning", field="architecture")

    def supernet(self, space: SearchSpace) -> nn.Module:
        return PrunedNetwork(*chain_with(space, self.architecture, method="pruning", field="architecture"), self)


class PrunedNetwork(nn.Module):
    """The chain under its masks, and the weights to go back to."""

    def __init__(self, space: ChainSpace, architecture: Architecture, options: Pruned) -> None:
        super().__init__()
        self.space = space
        self.architecture = architecture
        self.options = options
        self.chain: Chain = space.build(architecture)
        self.initial: nn.Module | None = None
        if options.start == "initial":
            self.initial = as_buffers(space.build(architecture))
            self.initial.load_state_dict(self.chain.state_dict())
        mask_layers(self.chain)

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        y_BK: Tensor = self.chain(x_B)
        return y_BK

    def inherit(self, parent: Mapping[str, Tensor], *, rate: float, output_rate: float, scope: Scope) -> None:
        """Cut out the smallest weights of the round before, and start from what is left.

        Args:
            parent: the state of the round before.
            rate: share of its weights that is cut out.
            output_rate: the same, of its last layer.
            scope: whether every layer loses its share, or all layers together do.
        """
        fresh = unmasked(copy.deepcopy(self.chain).state_dict())
        self.load_state_dict(parent)
        prune_smallest(self.chain, rate=rate, output_rate=output_rate, scope=scope)
        if self.initial is not None:
            load_under_masks(self.chain, self.initial.state_dict())
        elif self.options.start == "random":
            load_under_masks(self.chain, fresh)

    def architecture_parameters(self) -> list[nn.Parameter]:
        """None: masks are not learned by gradient."""
        return []

    def constrain(self) -> None:
        """Nothing to do."""

    def profile(self) -> tuple[float, ...]:
        """Effective FLOPs of every level, those of the head with the last."""
        *levels, head = effective_flops(self.chain, self.space.input_shape)
        return (*levels[:-1], levels[-1] + head)

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The chain itself."""
        return (self.architecture,)
