"""The probability of improvement against SciPy and by hand, its interval against its definition and the truth."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import mannwhitneyu, norm

from nas.statistics.improvement import probability_of_improvement

X, Y = [0.91, 0.93, 0.88, 0.93], [0.90, 0.93, 0.85]


def test_it_is_mann_whitneys_u():
    """Of the 12 pairs, X wins 2 + 2 + 1 + 2, and 2 are ties."""
    u = mannwhitneyu(X, Y).statistic
    assert u == 8
    assert probability_of_improvement([X], [Y]).value == pytest.approx(u / 12)
    assert probability_of_improvement([Y], [X]).value == pytest.approx(1 - u / 12)


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
def test_it_is_what_one_counts(x, y, expected):
    assert probability_of_improvement([x], [y]).value == expected


def test_over_tasks_it_is_the_mean():
    """1 on the first task, 0 on the second, whatever their accuracies."""
    assert probability_of_improvement([[0.9, 0.8], [0.1, 0.2]], [[0.1, 0.2], [0.3, 0.4]]).value == 0.5


def newcombe(share, n, m):
    """Both roots of (share - p)^2 = 1.96^2 V(p)."""
    num = (n + m) / 2

    def excess(p):
        variance = p * (1 - p) * (1 + (num - 1) * ((1 - p) / (2 - p) + p / (1 + p))) / (n * m)
        return (share - p) ** 2 - norm.ppf(0.975) ** 2 * variance

    low = 0.0 if share == 0 else brentq(excess, 1e-12, share - 1e-9, xtol=1e-14)
    high = 1.0 if share == 1 else brentq(excess, share + 1e-9, 1 - 1e-12, xtol=1e-14)
    return low, high


def test_its_limits_solve_the_equation():
    estimate = probability_of_improvement([X], [Y])
    assert (estimate.low, estimate.high) == pytest.approx(newcombe(8 / 12, 4, 3))


def test_six_wins_out_of_six_are_not_certainty():
    estimate = probability_of_improvement([[0.9, 0.91, 0.92, 0.93, 0.94, 0.95]], [[0.1] * 6])
    assert (estimate.low, estimate.high) == pytest.approx(newcombe(1.0, 6, 6))
    assert 0.6 < estimate.low < 0.8


def test_over_tasks_distances_to_the_limits_add_in_quadrature():
    estimate = probability_of_improvement([X, [0.3, 0.5, 0.7]], [Y, [0.4, 0.2, 0.6]])
    one, two = newcombe(8 / 12, 4, 3), newcombe(6 / 9, 3, 3)
    below = math.hypot(8 / 12 - one[0], 6 / 9 - two[0]) / 2
    above = math.hypot(one[1] - 8 / 12, two[1] - 6 / 9) / 2
    assert (estimate.low, estimate.high) == pytest.approx((2 / 3 - below, 2 / 3 + above))


def test_one_run_has_no_interval():
    assert probability_of_improvement([[0.5]], [[0.4, 0.6]]).low is None
    assert probability_of_improvement([X, [0.5]], [Y, [0.4, 0.6]]).high is None


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("num", [6, 10, 20])
def test_the_interval_holds_the_truth_as_often_as_it_says(num, shift):
    """Of two normal samples; a bootstrap interval has 71 % at six runs and shift 2."""
    rng, truth, num_samples = np.random.default_rng((num, int(shift))), norm.cdf(shift / math.sqrt(2)), 3000
    samples = (([rng.normal(shift, size=num)], [rng.normal(size=num)]) for _ in range(num_samples))
    estimates = [probability_of_improvement(x, y) for x, y in samples]
    held = sum(estimate.low <= truth <= estimate.high for estimate in estimates)
    assert 0.935 <= held / num_samples <= 0.98


def test_the_interval_over_tasks_holds_the_truth_as_often_as_it_says():
    rng, truth, num_samples = np.random.default_rng(5), norm.cdf([0.0, 1 / math.sqrt(2), math.sqrt(2)]).mean(), 3000
    held = 0
    for _ in range(num_samples):
        estimate = probability_of_improvement(
            [rng.normal(shift, size=6) for shift in (0, 1, 2)], [rng.normal(size=6) for _ in range(3)]
        )
        held += estimate.low <= truth <= estimate.high
    assert 0.935 <= held / num_samples <= 0.98
