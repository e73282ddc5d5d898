"""Whether a difference may be chance: Wilcoxon's signed-rank test, and Holm's correction for testing several methods.

The test (Wilcoxon, Biometrics Bulletin 1, 1945) asks how often differences with signs drawn at random would have a
signed-rank sum as far from its middle as theirs. Pairs without a difference are ranked with the others and then set
aside (Pratt, JASA 54, 1959). The distribution is exact, ties and zeros included, where SciPy approximates it.

Holm's correction (Scandinavian Journal of Statistics 6, 1979) holds the chance of even one false claim among all
methods at the level of the test.

Shapes: N differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.statistics.estimate import LEVEL

ALPHA = 1 - LEVEL
EXACT_PAIRS = 200
"""Beyond so many pairs the normal approximation is good to five digits."""
DIGITS = 12
"""0.7 - 0.6 and 0.6 - 0.5 are one difference: accuracies are fractions, of which floats miss the last digits."""


def signed_rank_p(differences: Sequence[float]) -> float:
    """Two-sided p value of the hypothesis that the differences are symmetric about zero."""
    d_N = np.round(np.asarray(differences, dtype=float), DIGITS)
    twice_rank_N = _twice_ranks(np.abs(d_N))[d_N != 0]
    distance = abs(2 * int(twice_rank_N[d_N[d_N != 0] > 0].sum()) - int(twice_rank_N.sum()))
    if len(d_N) > EXACT_PAIRS:
        return math.erfc(distance / math.sqrt(2 * float(np.square(twice_rank_N).sum()))) if distance else 1.0
    probability = _rank_sums(twice_rank_N)
    distances = np.abs(2 * np.arange(len(probability)) - (len(probability) - 1))
    return min(float(probability[distances >= distance].sum()), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values after correction, in the same order."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for position, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min((len(p_values) - position) * p_values[index], 1.0))
        adjusted[index] = largest
    return adjusted


def fewest_pairs(num_methods: int = 1) -> int:
    """With fewer, no p value of `signed_rank_p` can be significant.

    The least there is, of n differences with one sign, is 2 / 2^n; Holm multiplies it by the number of methods.
    """
    return math.ceil(math.log2(2 * num_methods / ALPHA) - 1e-9)


def _twice_ranks(x_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ranks from 1, equal numbers sharing theirs; doubled, to be whole."""
    _, group_N, count = np.unique(x_N, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (2 * last - count + 1)[group_N]


def _rank_sums(twice_rank_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability of every sum of the ranks that random signs leave positive."""
    probability = np.zeros(int(twice_rank_N.sum()) + 1)
    probability[0] = 1.0
    for rank in twice_rank_N.tolist():
        shifted = probability[: len(probability) - rank] / 2
        probability /= 2
        probability[rank:] += shifted
    return probability
