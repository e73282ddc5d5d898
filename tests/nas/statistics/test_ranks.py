"""Ranks and Kendall's tau against SciPy; Spearman's rho by hand."""

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from nas.statistics.ranks import kendall_tau, ranks, spearman


@pytest.mark.parametrize("values", [[0.5, 0.9, 0.7], [0.5, 0.5, 0.9, 0.1], [0.3] * 4, [0.2]])
def test_ranks_are_scipys_from_the_greatest(values):
    assert ranks(values) == rankdata([-value for value in values]).tolist()


def test_missing_values_share_the_last_ranks():
    assert ranks([None, 0.4, None, 0.6]) == [3.5, 2.0, 3.5, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_scipys(seed):
    x, y = np.random.default_rng(seed).integers(0, 5, size=(2, 7)).tolist()
    assert kendall_tau(x, y) == pytest.approx(kendalltau(x, y).statistic)


def test_tau_by_hand():
    """Of three pairs, two agree and one does not."""
    assert kendall_tau([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1.0
    assert kendall_tau([1, 1, 1], [1, 2, 3]) is None
    assert kendall_tau([1], [1]) is None


def test_rho_by_hand():
    """Without ties 1 - 6 sum d^2 / (n (n^2 - 1)); with ties the correlation of the centred ranks."""
    assert spearman([0.1, 0.5, 0.9, 0.4], [1, 2, 4, 3]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert spearman([1, 2, 3], [30, 20, 10]) == pytest.approx(-1.0)
    assert spearman([0.1, 0.7 - 0.1, 0.6, 0.2], [1, 3, 4, 2]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.3, 0.1 + 0.2, 0.3]), ([1], [1]), ([], [])])
def test_what_does_not_vary_has_no_rho(x, y):
    assert spearman(x, y) is None
