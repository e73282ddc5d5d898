"""How likely a run of one method beats a run of another.

The statistic is `P(X > Y) + P(X = Y) / 2` over all pairs of runs of a task, Mann and Whitney's U / (n m), and its mean
over tasks (Agarwal et al., NeurIPS 2021, section 4.3). It says how often, not by how much.

Its interval is no bootstrap, because six runs that all win give a bootstrap nothing to vary. Within a task it is
Newcombe's score interval (Statistics in Medicine 25, 2006, part 2, method 5): all probabilities from which the estimate
lies within 1.96 standard errors, the error being that which the probability itself would have,

    V(p) = p (1 - p) [1 + (N - 1) ((1 - p) / (2 - p) + p / (1 + p))] / (n m),   N = (n + m) / 2

(after Hanley and McNeil, Radiology 143, 1982). Over tasks, the distances from the estimate to the limits add in
quadrature (Zou and Donner, Statistics in Medicine 27, 2008). X and Y count as independent. Runs of one seed often rise
and fall together, which makes the interval too wide rather than too narrow; where one method scatters thrice as much as
the other, it holds the truth 93 times in 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from nas.statistics.bootstrap import Strata
from nas.statistics.estimate import LEVEL, Estimate

Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
HALVINGS = 60
"""Of [0, 1], until the limits are exact to the last bit."""


def probability_of_improvement(x: Strata, y: Strata) -> Estimate:
    """`P(X > Y) + P(X = Y) / 2`, averaged over tasks.

    Args:
        x: numbers by task.
        y: numbers of the same tasks, in the same order.
    """
    sizes = [(len(of_x), len(of_y)) for of_x, of_y in zip(x, y, strict=True)]
    shares = [_share_of_wins(of_x, of_y) for of_x, of_y in zip(x, y, strict=True)]
    value = math.fsum(shares) / len(shares)
    if any(min(size) < 2 for size in sizes):
        return Estimate(value=value)
    limits = [_limits(share, *size) for share, size in zip(shares, sizes, strict=True)]
    below = math.hypot(*(share - low for share, (low, _) in zip(shares, limits, strict=True))) / len(shares)
    above = math.hypot(*(high - share for share, (_, high) in zip(shares, limits, strict=True))) / len(shares)
    return Estimate(value=value, low=max(value - below, 0.0), high=min(value + above, 1.0))


def _share_of_wins(x: Sequence[float], y: Sequence[float]) -> float:
    x_N, y_M = np.asarray(x), np.sort(y)
    twice_won = np.searchsorted(y_M, x_N, "left").sum() + np.searchsorted(y_M, x_N, "right").sum()
    return float(twice_won) / (2 * len(x_N) * len(y_M))


def _limits(share: float, num_x: int, num_y: int) -> tuple[float, float]:
    """Between the estimate, which agrees with itself, and 0 or 1, which only agrees if it is the estimate."""

    def limit(end: float) -> float:
        inside, outside = share, end
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            if abs(share - middle) <= Z * math.sqrt(_variance(middle, num_x, num_y)):
                inside = middle
            else:
                outside = middle
        return inside

    return limit(0.0), limit(1.0)


def _variance(p: float, num_x: int, num_y: int) -> float:
    num = (num_x + num_y) / 2
    return p * (1 - p) * (1 + (num - 1) * ((1 - p) / (2 - p) + p / (1 + p))) / (num_x * num_y)
