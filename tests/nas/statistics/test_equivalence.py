"""Tests of equivalence against SciPy's t tests."""

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from nas.statistics.equivalence import Equivalence, holm_equivalence, paired_equivalence

DIFFERENCES = [0.001, -0.002, 0.0005, 0.003, -0.001, 0.0]
MARGIN = 0.0025


def test_it_is_two_one_sided_t_tests():
    test = paired_equivalence([DIFFERENCES], MARGIN)
    no_worse = ttest_1samp(DIFFERENCES, -MARGIN, alternative="greater").pvalue
    no_better = ttest_1samp(DIFFERENCES, MARGIN, alternative="less").pvalue
    assert (test.no_worse, test.no_better) == pytest.approx((no_worse, no_better))
    assert test.equivalent == max(test.no_worse, test.no_better)


def test_over_tasks_the_error_is_that_of_the_mean_of_their_means():
    """Welch and Satterthwaite: variances of the means 1/3 and 1, of 2 and 1 degrees: (4/3)^2 / (1/18 + 1) = 1.684."""
    strata = [[1.0, 2.0, 3.0], [0.0, 2.0]]
    error, freedom = np.sqrt(1 / 3 + 1) / 2, (4 / 3) ** 2 / ((1 / 3) ** 2 / 2 + 1)
    test = paired_equivalence(strata, 0.5)
    assert test.no_worse == pytest.approx(t.sf((1.5 + 0.5) / error, freedom))
    assert test.no_better == pytest.approx(t.sf((0.5 - 1.5) / error, freedom))


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(0.0, (0.0, 0.0)), (0.002, (0.0, 0.0)), (0.0025, (0.0, 1.0)), (0.01, (0.0, 1.0)), (-0.01, (1.0, 0.0))],
)
def test_equal_differences_are_on_one_side_of_the_margin_or_the_other(difference, expected):
    test = paired_equivalence([[difference] * 6], MARGIN)
    assert (test.no_worse, test.no_better) == expected


def test_one_difference_in_some_task_is_no_test():
    assert paired_equivalence([[0.0]], MARGIN) is None
    assert paired_equivalence([[0.0, 0.1], [0.2]], MARGIN) is None


@pytest.mark.parametrize(
    ("no_worse", "no_better", "claim"),
    [(0.01, 0.02, "equivalent"), (0.01, 0.2, "no worse"), (0.2, 0.01, "no better"), (0.2, 0.2, "open")],
)
def test_what_may_be_claimed(no_worse, no_better, claim):
    test = Equivalence(no_worse=no_worse, no_better=no_better, equivalent=max(no_worse, no_better))
    assert test.conclusion == claim


def test_each_of_the_three_is_corrected_over_the_methods():
    one = Equivalence(no_worse=0.01, no_better=0.04, equivalent=0.04)
    two = Equivalence(no_worse=0.03, no_better=0.001, equivalent=0.03)
    first, second = holm_equivalence([one, two])
    assert (first.no_worse, first.no_better, first.equivalent) == pytest.approx((0.02, 0.04, 0.06))
    assert (second.no_worse, second.no_better, second.equivalent) == pytest.approx((0.03, 0.002, 0.06))
    assert list(holm_equivalence([])) == []
