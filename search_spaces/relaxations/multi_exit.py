"""Multi-exit networks over a space of depths: one network with a classifier at several of them (`exit_network`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.readings import LEVEL_ACCURACY, Readings
from search_spaces.relaxations.chains import architecture_of, architectures_of, chain_of_depths, check_depths
from search_spaces.relaxations.exit_network import ExitNetwork, ExitTraining
from search_spaces.relaxations.level_heads import read_levels
from search_spaces.relaxations.relaxation import Probe
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class MultiExit(ExitTraining):
    """Trains classifiers at several depths of a chain with one stage and nothing else to choose.

    With `deliver: supernet`, the run delivers the network with all its exits.
    """

    exits: tuple[int, ...] = ()
    """Depths with a classifier, ascending, among those of the space; empty: all of them."""
    unlabelled: float = Field(default=1.0, ge=0)
    """Inputs without a label for every labelled one of a batch, where the task has such: they join the distillation."""

    recipe = "standard"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        _, exits = exits_of(space, self.exits, method="multi_exit")
        if self.weights and len(self.weights) != len(exits):
            raise InvalidInput(f"must be one per exit, {len(exits)}, got {len(self.weights)}", field="weights")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return MultiExitNetwork(*exits_of(space, self.exits, method="multi_exit"), self)


class MultiExitNetwork(ExitNetwork):
    """The chain up to the deepest exit, as a supernet."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: MultiExit) -> None:
        super().__init__(space, architecture_of(space, depths[-1]), depths, options)
        self.unlabelled = options.unlabelled if options.distillation else 0.0

    def num_unlabelled(self, num_labelled: int) -> int:
        """In proportion; none if no exit learns from another."""
        return round(self.unlabelled * num_labelled)

    def probe(self, x_B: Tensor) -> Probe:
        """Every exit; a level without one is read by the next."""
        levels = read_levels(self.chain.hidden_states(x_B), self.depths, self._read)
        return Probe(logits=levels[-1], levels=levels)

    def architecture_parameters(self) -> list[nn.Parameter]:
        """None: where the exits are is given."""
        return []

    def constrain(self) -> None:
        """Nothing to do."""

    def profile(self) -> tuple[float, ...]:
        """The share of every level in what is trained."""
        share = dict(zip(self.depths, self.shares, strict=True))
        return tuple(share.get(level, 0.0) for level in range(self.depths[-1] + 1))

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The depths of the exits, the most accurate on validation data first (ties: shallow)."""
        accuracy = readings[LEVEL_ACCURACY]
        return architectures_of(self.space, sorted(self.depths, key=lambda depth: (-accuracy[depth], depth)))


def exits_of(space: SearchSpace, exits: tuple[int, ...], *, method: str) -> tuple[ChainSpace, tuple[int, ...]]:
    """`space`, known to be one that `method` can give exits, and their depths; no `exits` are all depths.

    Raises:
        InvalidInput: there is something else to choose than the depth, or the space does not have these exits.
    """
    chain, allowed = chain_of_depths(space, method=method)
    check_depths(exits, allowed, field="exits")
    if exits and (len(exits) == 1 or list(exits) != sorted(set(exits))):
        raise InvalidInput(f"must be at least two, ascending, got {list(exits)}", field="exits")
    return chain, exits or tuple(sorted(allowed))
