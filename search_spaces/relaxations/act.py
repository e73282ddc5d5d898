"""Adaptive computation time (Graves, 2016, arXiv 1603.08983): steps are weighed until their weights sum to one.

After step n a unit gives `h_n`. The network stops at N, the first step where `h_1 + ... + h_N >= 1 - epsilon`, or at
the last, L. The steps before weigh h_n, and step N the remainder `R = 1 - (h_1 + ... + h_{N-1})`. N has no gradient, so
the time `N + R` is shortened through R alone.
Shapes: B batch, L steps, M = L - 1 steps after which there is a choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Act:
    """When inputs stop, and what their steps weigh."""

    weights_BL: Tensor
    """The p_n: h_n before step N, the remainder at N, then 0. They sum to one."""
    stops_BL: Tensor
    """1 at step N, else 0; without a gradient."""
    remainder_B: Tensor
    """R."""

    def time(self) -> Tensor:
        """`N + R`, `[B]`: the ponder cost."""
        step_L = torch.arange(1, self.stops_BL.shape[1] + 1, device=self.stops_BL.device)
        return (self.stops_BL * step_L).sum(dim=1) + self.remainder_B


def act(h_BM: Tensor, epsilon: float) -> Act:
    """The steps of inputs whose units give `h_BM`, in [0, 1], after steps 1..L-1."""
    goes_on_BM = h_BM.detach().cumsum(dim=1) < 1 - epsilon
    stops_BL = F.one_hot(goes_on_BM.sum(dim=1), h_BM.shape[1] + 1).to(h_BM.dtype)
    before_BM = h_BM * goes_on_BM
    remainder_B = 1 - before_BM.sum(dim=1)
    weights_BL = F.pad(before_BM, (0, 1)) + stops_BL * remainder_B.unsqueeze(1)
    return Act(weights_BL=weights_BL, stops_BL=stops_BL, remainder_B=remainder_B)
