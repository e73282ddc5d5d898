"""How far a network's confidence can be believed, and one number per exit that mends it.

Temperature scaling (Guo, Pleiss, Sun & Weinberger, ICML 2017, arXiv 1706.04599) divides logits by the T > 0 that
minimises the loss on validation data. It changes no answer, but it does change which inputs are sure enough to leave,
so each exit has its own. The loss is convex in 1 / T: a log-sum-exp of linear functions less a linear one. So its
derivative has one zero, and bisection finds it to the last digit, where gradient steps on T, as in the authors' code,
stop early.
Shapes: B batch, K classes, E exits, N bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
"""Where the search ends: if all answers are right, the best temperature is zero; if they are no better than chance, it
is infinite."""
NUM_HALVINGS = 60
"""Of an interval of log T that is 9.2 wide: what is left is below the precision of a double."""
NUM_BINS = 15
"""Guo et al., 2017, table 1."""


def fit_temperatures(y_EBK: Tensor, y_B: Tensor) -> Tensor:
    """The temperature `[E]` of every exit at which the loss of these logits and labels is least, in float64.

    Divide the logits of an exit by it.
    """
    y_EBK = y_EBK.double()
    of_label_E = y_EBK.gather(-1, y_B.expand(len(y_EBK), -1).unsqueeze(-1)).squeeze(-1).mean(dim=-1)
    low_E = torch.full_like(of_label_E, math.log(MIN_TEMPERATURE))
    high_E = torch.full_like(of_label_E, math.log(MAX_TEMPERATURE))
    for _ in range(NUM_HALVINGS):
        middle_E = (low_E + high_E) / 2
        softened_EBK = y_EBK / middle_E.exp().reshape(-1, 1, 1)
        # The derivative of the loss by 1 / T: what the logits are on average, less what those of the labels are.
        slope_E = (softened_EBK.softmax(dim=-1) * y_EBK).sum(dim=-1).mean(dim=-1) - of_label_E
        too_sure_E = slope_E > 0
        low_E, high_E = torch.where(too_sure_E, middle_E, low_E), torch.where(too_sure_E, high_E, middle_E)
    return ((low_E + high_E) / 2).exp()


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """What a reliability diagram shows: inputs by their confidence, in N bins of one width over (0, 1]."""

    counts: tuple[int, ...]
    """Inputs in every bin."""
    accuracy: tuple[float, ...]
    """Share of right answers in every bin; 0 where there are no inputs."""
    confidence: tuple[float, ...]
    """Mean confidence in every bin; 0 where there are no inputs."""

    @property
    def expected_calibration_error(self) -> float:
        """The mean over inputs of how far confidence and accuracy of their bin are apart (equation 3)."""
        bins = zip(self.counts, self.accuracy, self.confidence, strict=True)
        return sum(count * abs(right - sure) for count, right, sure in bins) / sum(self.counts)


def reliability(y_BK: Tensor, y_B: Tensor, *, num_bins: int = NUM_BINS) -> Reliability:
    """Confidence against accuracy; a confidence on the edge of two bins belongs to the lower one, as in the paper."""
    confidence_B, answer_B = y_BK.double().softmax(dim=-1).max(dim=-1)
    inner_edges = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64, device=y_BK.device)[1:-1]
    bin_B = torch.bucketize(confidence_B, inner_edges)
    correct_B = (answer_B == y_B).double()
    counts_N = torch.bincount(bin_B, minlength=num_bins)
    correct_N = torch.bincount(bin_B, weights=correct_B, minlength=num_bins) / counts_N.clamp(min=1)
    confidence_N = torch.bincount(bin_B, weights=confidence_B, minlength=num_bins) / counts_N.clamp(min=1)
    return Reliability(
        counts=tuple(counts_N.tolist()), accuracy=tuple(correct_N.tolist()), confidence=tuple(confidence_N.tolist())
    )
