"""What a network with several exits is, for whoever runs or prices it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from search_spaces.chain import Chain

Hidden = Tensor | tuple[Tensor, ...]
"""A hidden state `h_B...`, or several that one block hands to the next, as a network of several scales does."""


class Exits(Protocol):
    """A chain with classifiers at some of its levels.

    `search_spaces.relaxations.multi_exit` makes one of any chain; a network of `search_spaces.multiscale` is one.
    """

    @property
    def chain(self) -> Chain:
        """Its own head passes on what it is given, a `Hidden`. Its last level has an exit."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Of the classifiers, ascending."""

    @property
    def heads(self) -> nn.ModuleDict:
        """The classifiers, by their depths."""

    def exit_logits(self, x_B: Tensor) -> Sequence[Tensor]:
        """Logits `y_BK` of every exit."""


@runtime_checkable
class Ensembled(Protocol):
    """After the last of its classifiers, there is one more exit: for inputs of which none was sure enough."""

    def ensemble(self, classifiers: Sequence[Tensor]) -> Tensor:
        """Logits `y_BK` of that exit, from those of all classifiers. It has nothing else to compute."""


def read_exits(network: Exits, x_B: Tensor) -> list[Tensor]:
    """Logits `y_BK` of every classifier, in one pass."""
    states = network.chain.hidden_states(x_B)
    return [network.heads[str(depth)](states[depth]) for depth in network.depths]


def rows(h_B: Hidden, chosen_B: Tensor) -> Hidden:
    """The hidden state of some of the inputs."""
    return h_B[chosen_B] if isinstance(h_B, Tensor) else tuple(part_B[chosen_B] for part_B in h_B)
