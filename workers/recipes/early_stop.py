"""When the architecture of a supernet has been searched for long enough; its weights train on.

- Too many skips, or rankings that no longer change: DARTS+ (Liang et al., 2019, arXiv 1909.06035, section 3.3).
- A largest eigenvalue that grows: R-DARTS (Zela et al., ICLR 2020, arXiv 1909.09656, section 4.3; the windows are those
  of their code). The architecture goes back to where the growth began.

The rules look once per epoch, at what the epoch before has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.relaxations.relaxation import Skipping

HALF_WINDOW = 2
"""R-DARTS averages eigenvalues over five epochs."""
LAG = 4
"""Epochs between the averages that R-DARTS compares."""


class EarlyStop:
    """Watches the architecture. A rule without its number is off."""

    def __init__(
        self,
        network: nn.Module,
        architecture: Sequence[nn.Parameter],
        *,
        max_skips: int | None = None,
        stable_epochs: int | None = None,
        eigenvalue_ratio: float | None = None,
        eigenvalue_min_epochs: int = 10,
    ) -> None:
        self.network = network
        self.architecture = architecture
        self.max_skips = max_skips
        self.stable_epochs = stable_epochs
        self.eigenvalue_ratio = eigenvalue_ratio
        self.eigenvalue_min_epochs = eigenvalue_min_epochs
        self.is_over = False
        self.epoch = 0
        self.has_moved = False
        """Whether the architecture has moved since the rules looked."""
        self.rankings: list[list[list[int]]] = []
        """After every epoch of search, as far back as a rule looks."""
        self.eigenvalues: list[Tensor] = []
        """Before every epoch of search."""
        self.snapshots: list[list[Tensor]] = []
        """The architectures that had them, as far back as it may go."""

    @property
    def measures_curvature(self) -> bool:
        """Whether a rule needs eigenvalues."""
        return self.eigenvalue_ratio is not None

    def is_over_at(self, epoch: int) -> bool:
        """Whether `epoch` searches no longer. Asking again within an epoch changes nothing."""
        if epoch > self.epoch and self.has_moved and not self.is_over:
            self._look()
            self.has_moved = False
        self.epoch = epoch
        return self.is_over

    def note_step(self) -> None:
        """The architecture has moved."""
        self.has_moved = True

    def note_eigenvalue(self, eigenvalue: Tensor) -> None:
        """The present architecture has this largest eigenvalue."""
        self.eigenvalues.append(eigenvalue)
        self.snapshots = [
            *self.snapshots[-(HALF_WINDOW + LAG) :],
            [parameter.detach().clone() for parameter in self.architecture],
        ]

    def state_dict(self) -> dict[str, Any]:
        return {
            "is_over": self.is_over,
            "epoch": self.epoch,
            "has_moved": self.has_moved,
            "rankings": self.rankings,
            "eigenvalues": self.eigenvalues,
            "snapshots": self.snapshots,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def _look(self) -> None:
        if isinstance(self.network, Skipping):
            if self.max_skips is not None and self.network.num_skips() >= self.max_skips:
                self.is_over = True
            if self.stable_epochs is not None:
                self.rankings = [*self.rankings[-self.stable_epochs :], self.network.ranking()]
                self.is_over |= is_stable(self.rankings, self.stable_epochs)
        if self.eigenvalue_ratio is not None:
            values = [eigenvalue.item() for eigenvalue in self.eigenvalues]
            start = start_of_growth(values, ratio=self.eigenvalue_ratio, min_epochs=self.eigenvalue_min_epochs)
            if start is not None:
                self._go_back(self.snapshots[start - len(values)])

    @torch.no_grad()
    def _go_back(self, snapshot: list[Tensor]) -> None:
        self.is_over = True
        for parameter, before in zip(self.architecture, snapshot, strict=True):
            parameter.copy_(before)


def is_stable(rankings: Sequence[object], epochs: int) -> bool:
    """Whether the last ranking is that of so many epochs before, and of all between."""
    return len(rankings) > epochs and all(ranking == rankings[-1] for ranking in rankings[-epochs - 1 :])


def start_of_growth(eigenvalues: Sequence[float], *, ratio: float, min_epochs: int) -> int | None:
    """The epoch, not before `min_epochs`, since which the average eigenvalue has grown by more than `ratio`, if it has.

    Averages are centred, so they lag behind; at the beginning they reach back as far as there are values.
    """
    now = len(eigenvalues) - 1 - HALF_WINDOW
    then = now - LAG
    if then < min_epochs:
        return None
    before, after = (
        fmean(eigenvalues[max(centre - HALF_WINDOW, 0) : centre + HALF_WINDOW + 1]) for centre in (then, now)
    )
    return then if 0 < before * ratio < after else None
