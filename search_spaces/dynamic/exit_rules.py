"""When an input leaves a network with several exits, and thresholds that meet a budget.

An input leaves at the first exit at which

- confidence: the largest probability is at least the threshold (MSDNet: Huang et al., ICLR 2018, arXiv 1703.09844);
- entropy: that of the answer, in nats, is below the threshold (BranchyNet: Teerapittayanon et al., ICPR 2016, arXiv
  1709.01686);
- patience: that many exits in a row have confirmed the answer of the one before them (Zhou et al., NeurIPS 2020, arXiv
  2006.04152), so that nothing leaves at the first exit for a patience of at least one.

The last exit takes all that is left. Shapes: B batch, K classes, E exits, M = E - 1 exits with a threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ROUNDING = 1e-9
"""Inputs by which a share of all may fall short of a whole number, and means that number: 0.29 * 100 is below 29."""


@dataclass(frozen=True, kw_only=True)
class ExitRule:
    """A rule with a threshold for every exit but the last."""

    kind: Literal["confidence", "entropy", "patience"]
    thresholds: tuple[float, ...]
    """A probability, nats, or a number of exits."""

    def leaves(self, y_eBK: Tensor) -> Tensor:
        """Whether inputs leave, `[B]`, at the last of the e exits seen so far, given that they have not left before."""
        seen = len(y_eBK)
        if seen > len(self.thresholds):
            return torch.ones(y_eBK.shape[1], dtype=torch.bool, device=y_eBK.device)
        threshold = self.thresholds[seen - 1]
        match self.kind:
            case "confidence":
                return confidence(y_eBK[-1]) >= threshold
            case "entropy":
                return entropy(y_eBK[-1]) < threshold
            case "patience":
                return confirmations(y_eBK) >= threshold

    def exits(self, y_EBK: Tensor) -> Tensor:
        """The exit that every input takes, `[B]`, from 0."""
        assert len(y_EBK) == len(self.thresholds) + 1, "the last exit, and no other, has no threshold"
        leaves_EB = torch.stack([self.leaves(y_EBK[: number + 1]) for number in range(len(y_EBK))])
        return leaves_EB.int().argmax(dim=0)  # the first of equal ones


def confidence(y_BK: Tensor) -> Tensor:
    """The largest probability, `[..., B]` of `[..., B, K]`."""
    return y_BK.softmax(dim=-1).amax(dim=-1)


def entropy(y_BK: Tensor) -> Tensor:
    """Of the answer, in nats, `[..., B]` of `[..., B, K]`; probabilities of zero add nothing."""
    entropy_B: Tensor = torch.special.entr(y_BK.softmax(dim=-1)).sum(dim=-1)
    return entropy_B


def confirmations(y_eBK: Tensor) -> Tensor:
    """How many exits in a row, up to the last, have given the same answer as the one before them, `[B]`."""
    answers_eB = y_eBK.argmax(dim=-1)
    agrees_eB = (answers_eB == answers_eB[-1]).flip(0)
    return agrees_eB.int().cumprod(dim=0).sum(dim=0) - 1


def answers(y_EBK: Tensor, exit_B: Tensor) -> Tensor:
    """Logits `[B, K]` of the exit that every input takes."""
    return y_EBK[exit_B, torch.arange(len(exit_B), device=exit_B.device)]


def budget_shares(p: float, num_exits: int) -> tuple[float, ...]:
    """Shares of inputs that leave at each exit, proportional to `p^k` for k = 1..E (MSDNet's evaluation code).

    The paper has a probability q of leaving that is the same at every exit that is reached, so that p = 1 - q is below
    1. A p above 1, as in its code, sends most inputs to the end.
    """
    powers = [p**k for k in range(1, num_exits + 1)]
    return tuple(power / sum(powers) for power in powers)


def quantile_thresholds(confidence_EB: Tensor, shares: Sequence[float]) -> tuple[float, ...]:
    """Thresholds `[M]` at which these shares of all inputs leave at each exit, set in order (MSDNet).

    Exit k lets out the `floor(B * share_k)` most confident of those that have not left before, and whoever ties with
    the last of them; the last exit takes the rest. An exit that is to let out nobody gets a threshold that nobody
    reaches, and one that is to let out more than are left, which ties can bring about, lets out all. (In the authors'
    code, nobody leaves then.)
    """
    assert len(shares) == len(confidence_EB)
    is_left_B = torch.ones_like(confidence_EB[0], dtype=torch.bool)
    thresholds = []
    for confidence_B, share in zip(confidence_EB[:-1], shares[:-1], strict=True):
        left = confidence_B[is_left_B].sort(descending=True).values
        wanted = min(math.floor(len(confidence_B) * share + ROUNDING), len(left))
        thresholds.append(left[wanted - 1].item() if wanted else math.inf)
        is_left_B = is_left_B & (confidence_B < thresholds[-1])
    return tuple(thresholds)
