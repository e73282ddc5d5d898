"""Percentile bootstrap intervals of a few statistics of a few numbers (Efron & Tibshirani, 1993, chapter 13).

Seeds are resampled with replacement, as rliable does (Agarwal et al., NeurIPS 2021) but with a generator of its own, so
that the same numbers always give the same interval. With few seeds such an interval is too narrow: that of three
numbers can be no wider than from the least to the greatest.

Shapes: R resamples, N and M numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A statistic and its 95 % interval."""

    value: float
    low: float | None = None
    """None, as is `high`, where there is but one number."""
    high: float | None = None


def mean(x: Sequence[float]) -> Estimate:
    """The mean of `x_N`."""
    x_N = np.asarray(x)
    return _estimate(float(x_N.mean()), _resample(x_N, np.random.default_rng(SEED)).mean(axis=1), len(x_N))


def probability_of_improvement(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """`P(X > Y) + P(X = Y) / 2` over all pairs of `x_N` and `y_M`.

    This is Mann and Whitney's U / (N M) (Agarwal et al., 2021, section 4.3). Both samples are resampled, independently.
    """
    x_N, y_M = np.asarray(x), np.asarray(y)
    rng = np.random.default_rng(SEED)
    resampled = _share_of_wins(_resample(x_N, rng), _resample(y_M, rng))
    return _estimate(float(_share_of_wins(x_N[None], y_M[None])[0]), resampled, min(len(x_N), len(y_M)))


def _share_of_wins(x_RN: NDArray[np.float64], y_RM: NDArray[np.float64]) -> NDArray[np.float64]:
    share_R: NDArray[np.float64] = (np.sign(x_RN[:, :, None] - y_RM[:, None, :]).mean(axis=(1, 2)) + 1) / 2
    return share_R


def _resample(x_N: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return x_N[rng.integers(len(x_N), size=(NUM_RESAMPLES, len(x_N)))]


def _estimate(value: float, resampled_R: NDArray[np.float64], num: int) -> Estimate:
    if num < 2:
        return Estimate(value=value)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled_R, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))
