"""What a network with several exits is, for whoever runs or prices it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from search_spaces.chain import Chain


class Exits(Protocol):
    """A chain with classifiers at some of its levels, as `search_spaces.relaxations.multi_exit` trains it."""

    @property
    def chain(self) -> Chain:
        """Its own head passes on what it is given. Its last level has an exit."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Of the exits, ascending."""

    @property
    def heads(self) -> nn.ModuleDict:
        """Of the exits, by their depths."""

    def exit_logits(self, x_B: Tensor) -> Sequence[Tensor]:
        """Logits `y_BK` of every exit."""
