"""Ranks and Kendall's tau against SciPy."""

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from nas.statistics.ranks import kendall_tau, ranks


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
