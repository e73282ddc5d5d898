"""Where numbers lie: their mean and their interquartile mean, each with its standard error.

Shapes: R samples of N numbers, those of one task side by side; K tasks, `sizes` says how many numbers each has.

Sources: the interquartile mean over runs and tasks is that of Agarwal et al., "Deep Reinforcement Learning at the Edge
of the Statistical Precipice", NeurIPS 2021, section 4.3: the mean of what is left when a quarter of all numbers is cut
off on either side. Its standard error is Tukey and McLaughlin's (1963), from Winsorised numbers: those cut off count as
the least and the greatest that are left. Both errors see the spread within tasks only, since the tasks are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

CUT = 0.25
"""Share that the interquartile mean drops at either end; of N numbers, the whole part of N / 4."""

Array = NDArray[np.float64]
Location = Callable[[Array, Sequence[int]], tuple[Array, Array]]
"""From `x_RN` and sizes to `value_R` and `error_R`."""


def mean_and_error(x_RN: Array, sizes: Sequence[int]) -> tuple[Array, Array]:
    """The mean over tasks of the mean within each: a task counts once, however many runs it has.

    Every task needs two numbers for an error.
    """
    size_K = np.asarray(sizes)
    mean_RK = _sums(x_RN, sizes) / size_K
    variance_RK = _variances(x_RN, sizes)
    return mean_RK.mean(axis=-1), np.sqrt((variance_RK / size_K).sum(axis=-1)) / len(sizes)


def interquartile_mean_and_error(x_RN: Array, sizes: Sequence[int]) -> tuple[Array, Array]:
    """The mean of the middle half of all numbers, whatever their task.

    Every task needs two numbers for an error.
    """
    num = x_RN.shape[-1]
    num_cut = int(CUT * num)
    num_left = num - 2 * num_cut
    sorted_RN = np.sort(x_RN, axis=-1)  # many times as fast as np.partition
    low_R1, high_R1 = sorted_RN[..., [num_cut]], sorted_RN[..., [num - num_cut - 1]]
    winsorised_RN = np.clip(x_RN, low_R1, high_R1)
    value_R = (winsorised_RN.sum(axis=-1) - num_cut * (low_R1 + high_R1)[..., 0]) / num_left
    error_R = np.sqrt((_variances(winsorised_RN, sizes) * np.asarray(sizes)).sum(axis=-1)) / num_left
    return value_R, error_R


def _variances(x_RN: Array, sizes: Sequence[int]) -> Array:
    """Sample variance within each task, `[R, K]`; 0 where a task has but one number."""
    size_K = np.asarray(sizes)
    mean_RK = _sums(x_RN, sizes) / size_K
    square_RN = np.square(x_RN - np.repeat(mean_RK, size_K, axis=-1))
    variance_RK: Array = _sums(square_RN, sizes) / np.maximum(size_K - 1, 1)
    return variance_RK


def _sums(x_RN: Array, sizes: Sequence[int]) -> Array:
    """Sum within each task, `[R, K]`."""
    if len(sizes) == 1:
        sum_R1: Array = x_RN.sum(axis=-1, keepdims=True)
        return sum_R1
    sum_RK: Array = np.add.reduceat(x_RN, np.cumsum([0, *sizes[:-1]]), axis=-1)
    return sum_RK
