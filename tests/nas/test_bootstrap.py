"""Statistics against SciPy, intervals against the exact distribution of all resamples."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from nas.bootstrap import mean, probability_of_improvement

X, Y = [0.91, 0.93, 0.88, 0.93], [0.90, 0.93, 0.85]


def exact_quantiles(values):
    """Quantiles of the finite distribution over all equally likely resamples."""
    return np.quantile(np.fromiter(values, float), [0.025, 0.975], method="inverted_cdf")


def test_the_mean_of_a_sample_is_its_mean():
    assert mean([0.1, 0.2, 0.6]).value == pytest.approx(0.3)


def test_its_interval_is_that_of_all_resamples():
    """All 4^4 = 256 resamples; the four numbers are distinct, so that their means lie densely."""
    sample = [0.11, 0.32, 0.58, 0.97]
    low, high = exact_quantiles(np.mean(resample) for resample in product(sample, repeat=4))
    estimate = mean(sample)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.01)
    assert low > 0.11
    assert high < 0.97


def test_three_seeds_give_the_widest_interval_that_there_is():
    """One resample in 27 repeats the least number three times: 3.7 % > 2.5 %."""
    estimate = mean([0.5, 0.9, 0.7])
    assert (estimate.low, estimate.high) == pytest.approx((0.5, 0.9))


def test_one_number_has_no_interval():
    assert (mean([0.5]).low, mean([0.5]).high) == (None, None)
    assert probability_of_improvement([0.5], [0.4, 0.6]).low is None


def test_the_probability_of_improvement_is_mann_whitneys_u():
    """Of the 12 pairs, X wins 2 + 2 + 1 + 2, and 2 are ties."""
    u = mannwhitneyu(X, Y).statistic
    assert u == 8
    assert probability_of_improvement(X, Y).value == pytest.approx(u / 12)
    assert probability_of_improvement(Y, X).value == pytest.approx(1 - u / 12)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([2, 3], [1, 1], 1.0),
        ([1, 1], [2, 3], 0.0),
        ([5, 5], [5, 5], 0.5),
        ([1, 4], [2, 3], 0.5),
        ([2, 2], [1, 2], 0.75),
    ],
)
def test_the_probability_of_improvement_by_hand(x, y, expected):
    assert probability_of_improvement(x, y).value == expected


def test_its_interval_is_that_of_all_pairs_of_resamples():
    """4^4 resamples of X times 3^3 of Y."""

    def share(x, y):
        return np.mean([(a > b) + (a == b) / 2 for a in x for b in y])

    resamples = [share(x, y) for x, y in product(product(X, repeat=4), product(Y, repeat=3))]
    low, high = exact_quantiles(resamples)
    estimate = probability_of_improvement(X, Y)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1 / 12)


def test_the_same_numbers_give_the_same_interval():
    assert mean(X) == mean(X)
    assert probability_of_improvement(X, Y) == probability_of_improvement(X, Y)
