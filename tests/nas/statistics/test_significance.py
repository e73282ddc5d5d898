"""The signed-rank test against SciPy and against all signs there are; Holm's correction by hand."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata, wilcoxon

from nas.statistics.significance import EXACT_PAIRS, fewest_pairs, holm, signed_rank_p


@pytest.mark.parametrize("num", [1, 2, 5, 6, 10, 25, 50])
def test_it_is_scipys_exact_test(num):
    differences = np.random.default_rng(num).normal(0.3, size=num)
    assert signed_rank_p(differences) == pytest.approx(wilcoxon(differences, method="exact").pvalue)


@pytest.mark.parametrize(
    "differences",
    [
        [1, 1, 1, 1, 1, 1],
        [1, 1, -1, 2, 2, 3],
        [0, 1, 2, 3, 4, -5],
        [0, 0, 0, 1, 2, -1, 3],
        [2, 2, 0, -2, 2, 0],
    ],
)
def test_with_ties_and_zeros_it_counts_all_signs(differences):
    """Pratt: zeros are ranked, then set aside; every choice of the other signs is equally likely."""
    d = np.array(differences, dtype=float)
    ranks = rankdata(np.abs(d))[d != 0]
    distance = abs(np.sign(d[d != 0]) @ ranks)
    sums = [abs(np.array(signs) @ ranks) for signs in product((-1, 1), repeat=len(ranks))]
    assert signed_rank_p(differences) == pytest.approx(np.mean([total >= distance for total in sums]))


def test_no_difference_at_all_is_no_evidence():
    assert signed_rank_p([0.0] * 8) == 1.0
    assert signed_rank_p([0.0] * (EXACT_PAIRS + 1)) == 1.0


def test_equal_differences_are_ties_whatever_floats_make_of_them():
    """0.3 - 0.2 and 0.2 - 0.1 are not equal as floats, and 0.1 + 0.2 - 0.3 is not zero."""
    assert signed_rank_p([0.3 - 0.2, 0.2 - 0.1, -0.1]) == signed_rank_p([0.1, 0.1, -0.1])
    assert signed_rank_p([0.1 + 0.2 - 0.3, 0.5, 0.6]) == signed_rank_p([0.0, 0.5, 0.6])


@pytest.mark.parametrize("digits", [1, 12])
def test_of_many_pairs_the_normal_approximation_is_good_enough(digits):
    differences = np.round(np.random.default_rng(3).normal(0.1, size=EXACT_PAIRS + 1), digits)
    approximate = signed_rank_p(differences)
    expected = wilcoxon(differences, zero_method="pratt", method="approx", correction=False).pvalue
    assert approximate == pytest.approx(expected, rel=1e-6)
    fewer = differences[:EXACT_PAIRS]
    expected = wilcoxon(fewer, zero_method="pratt", method="approx", correction=False).pvalue
    assert signed_rank_p(fewer) == pytest.approx(expected, rel=0.02)


def test_six_pairs_are_the_fewest_that_can_decide():
    assert signed_rank_p([1, 2, 3, 4, 5]) == 2 / 2**5
    assert signed_rank_p([1, 2, 3, 4, 5, 6]) == 2 / 2**6
    assert fewest_pairs() == 6


@pytest.mark.parametrize("num_methods", range(1, 12))
def test_more_methods_need_more_pairs(num_methods):
    num = fewest_pairs(num_methods)
    assert num_methods * 2 / 2**num <= 0.05 < num_methods * 2 / 2 ** (num - 1)


def test_holm_by_hand():
    """4 x 0.01 = 0.04; 3 x 0.02 = 0.06; 2 x 0.025 = 0.05, but not below its forerunner; 1 x 0.5."""
    assert holm([0.02, 0.5, 0.01, 0.025]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_holm_keeps_the_chance_of_one_false_claim():
    """Five methods that are all like the baseline: without the correction, one in five studies claims something."""
    p_values = np.random.default_rng(1).random((4000, 5))
    claims = np.mean([min(holm(list(row))) <= 0.05 for row in p_values])
    assert claims == pytest.approx(0.05, abs=0.011)
