"""What a network that chooses its depth per input offers to whoever measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from search_spaces.operating_points import OperatingPoint, Setting

Observed = tuple[Tensor, ...]
"""What a pass shows of inputs, `[B, ...]` each."""


@runtime_checkable
class Dynamic(Protocol):
    """It can be run at several settings. All that is said of them holds in evaluation mode.

    Settings are compared without running each of them: a few passes that leave out nothing are observed, and what an
    input would answer and cost at a setting follows from that.
    """

    def num_observations(self) -> int:
        """Passes that have to be observed."""

    def observe(self, number: int, x_B: Tensor) -> Observed:
        """Pass `number`, from 0. Equal batches cost the same."""

    def settings(self, observed: Sequence[Observed]) -> tuple[Setting, ...]:
        """The settings to choose from, cheap ones first, given all passes over validation data."""

    def operating_point(self, setting: Setting, observed: Sequence[Observed], y_B: Tensor) -> OperatingPoint:
        """What a setting gives on data with these labels, given all passes over them."""

    def run_at(self, setting: Setting, x_B: Tensor) -> Tensor:
        """Logits `y_BK`, without computing what the setting leaves out."""
