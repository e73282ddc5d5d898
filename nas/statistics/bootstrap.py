"""Stratified bootstrap intervals with honest coverage from six runs on.

The percentile interval of six numbers that is meant to hold the truth 95 times in 100 does so 85 times. This is
bootstrap-t instead (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 12.5), whose error is of
the second order (Hall, "Theoretical Comparison of Bootstrap Confidence Intervals", Annals of Statistics 16, 1988): what
is resampled is the distance from the estimate in standard errors of the resample,

    t* = (value* - value) / error*,        [value - t*(97.5 %) error, value - t*(2.5 %) error].

Two things differ from the book. Runs are resampled within each task, as rliable does (Agarwal et al., NeurIPS 2021,
section 4.2). And every resampled number gets a little normal noise (Silverman and Young, "The bootstrap: to smooth or
not to smooth?", Biometrika 74, 1987; for intervals: Polansky and Schucany, JRSS B 59, 1997): a resample of few numbers
often repeats one so often that its error is nearly zero and t* explodes.

The generator is its own and the numbers are sorted first, so equal numbers give equal intervals in any order.

Shapes: R resamples, N numbers, those of one task side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nas.statistics.estimate import LEVEL, Estimate
from nas.statistics.location import Array, Location, interquartile_mean_and_error, mean_and_error

SMOOTHING = 0.5
"""Standard deviation of the noise, in standard errors of its task's mean: it vanishes as runs are added."""

WIDENING = 0.125
"""What the noise takes from the tails of t* when there are few runs, found by simulation: `benchmarks/coverage.py`."""
BLOCK = 2**15
"""Numbers that are worked on at a time: as many as a processor's cache holds."""

Strata = Sequence[Sequence[float]]
"""Numbers by task; no task is without any."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How many resamples there are, and which."""

    most: int = 10_000
    """With these, chance moves a limit by less than 1 % of the interval."""
    least: int = 2_000
    numbers: int = 500_000
    """Drawn in all, between `least` and `most` resamples: many runs would make a comparison slow."""
    seed: int = 0

    def num(self, size: int) -> int:
        """Resamples of so many numbers."""
        return min(max(self.numbers // size, self.least), self.most)


USUAL = Resampling()


def mean(strata: Strata, *, bounds: tuple[float, float] = (0.0, 1.0), resampling: Resampling = USUAL) -> Estimate:
    """The mean over tasks of the mean within each.

    Args:
        strata: numbers by task.
        bounds: what the truth cannot lie beyond: [0, 1] for accuracies, [-1, 1] for their differences.
        resampling: how many resamples, and their seed.
    """
    return _estimate(strata, mean_and_error, bounds, resampling)


def interquartile_mean(
    strata: Strata, *, bounds: tuple[float, float] = (0.0, 1.0), resampling: Resampling = USUAL
) -> Estimate:
    """The mean of the middle half of all numbers (`scipy.stats.trim_mean` at 0.25). Arguments as in `mean`."""
    return _estimate(strata, interquartile_mean_and_error, bounds, resampling)


def _estimate(strata: Strata, location: Location, bounds: tuple[float, float], resampling: Resampling) -> Estimate:
    sizes = tuple(len(stratum) for stratum in strata)
    x_N = np.concatenate([np.sort(np.asarray(stratum, dtype=float)) for stratum in strata])
    value, error = (float(number) for number in location(x_N, sizes))
    if min(sizes) < 2:
        return Estimate(value=value)
    noise_N = np.repeat([_noise(stratum) for stratum in strata], sizes)
    if not noise_N.any():
        return Estimate(value=value, low=value, high=value)
    blocks = [location(x_N[index_BN] + normal_BN * noise_N, sizes) for index_BN, normal_BN in _draws(sizes, resampling)]
    value_R, error_R = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    if error > 0:
        seen_R = error_R > 0
        t_low, t_high = np.quantile((value_R[seen_R] - value) / error_R[seen_R], tails, method="weibull")
        error *= 1 + WIDENING / (len(x_N) - 1)
        low, high = value - t_high * error, value - t_low * error
    else:  # the numbers differ, but not those that the statistic looks at: what t* is measured in is missing
        low, high = np.quantile(value_R, tails, method="weibull")
    return Estimate(
        value=value, low=max(min(float(low), value), bounds[0]), high=min(max(float(high), value), bounds[1])
    )


def _noise(stratum: Sequence[float]) -> float:
    if np.ptp(stratum) == 0:  # of equal numbers, floats find a standard deviation of 1e-17
        return 0.0
    return SMOOTHING * float(np.std(stratum, ddof=1)) / math.sqrt(len(stratum))


@lru_cache(maxsize=8)
def _draws(sizes: tuple[int, ...], resampling: Resampling) -> list[tuple[NDArray[np.intp], Array]]:
    """Which number each resampled one repeats, and its noise in standard deviations: blocks of `[R, N]` each."""
    rng = np.random.default_rng(resampling.seed)
    num = resampling.num(sum(sizes))
    starts = np.cumsum([0, *sizes[:-1]])
    index_RN = np.concatenate(
        [start + rng.integers(size, size=(num, size)) for start, size in zip(starts, sizes, strict=True)],
        axis=1,
    )
    normal_RN = rng.standard_normal(index_RN.shape)
    num_blocks = -(-index_RN.size // BLOCK)
    return list(zip(np.array_split(index_RN, num_blocks), np.array_split(normal_RN, num_blocks), strict=True))
