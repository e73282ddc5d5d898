"""Best-so-far at shares of the budget, worked out by hand."""

import pytest

from nas.anytime import moments
from nas.comparison import compare
from nas.scores import MIN_PAIRS
from nas.store import Store
from tests.nas.comparables import Found, store_runs

GRID = Found(networks=((1, 0.5), (2, 0.6), (3, 0.55), (4, 0.7)))
RANDOM = Found(networks=((3, 0.6), (1, 0.3), (2, 0.62), (4, 0.5)))
SUPERNET = Found(networks=((0, 0.99), (2, 0.4), (3, 0.9)))
"""Its first trial is a relaxation, which is never delivered."""


@pytest.fixture
def at(store: Store):
    """The moments of a study whose runs take four steps of a quarter of the budget each."""
    methods = {"grid": [GRID, GRID], "random": [RANDOM, RANDOM], "darts": [SUPERNET, SUPERNET]}
    store_runs(store, "study", methods)
    runs = store.frame("v_compare", "study")
    curve = store.frame("v_incumbent", "study", ["study", "run", "spent", "best_val_accuracy"])
    return lambda *shares: moments(runs, curve, compare(runs), shares)


def means(moment):
    return {label: score.accuracy and score.accuracy.value for label, score in moment.scores.items()}


def test_the_best_so_far_is_that_of_the_trials_that_are_paid(at):
    quarter, half, whole = at(0.25, 0.5, 1.0)
    assert means(quarter) == {"grid": pytest.approx(0.5), "random": pytest.approx(0.6), "darts": None}
    assert means(half) == pytest.approx({"grid": 0.6, "random": 0.6, "darts": 0.4})
    assert means(whole) == pytest.approx({"grid": 0.7, "random": 0.62, "darts": 0.9})


def test_a_share_between_two_trials_has_the_earlier_ones(at):
    (moment,) = at(0.74)
    assert means(moment) == pytest.approx({"grid": 0.6, "random": 0.6, "darts": 0.4})


def test_before_the_first_trial_there_is_nothing(at):
    (moment,) = at(0.1)
    assert means(moment) == {"grid": None, "random": None, "darts": None}
    assert set(moment.ranks.values()) == {2.0}
    assert moment.tau is None


def test_ranks_are_compared_with_those_at_the_end(at):
    """At the end: darts, grid, random. At half: grid and random share the first rank. tau-b = 0 - 2 of 3 x 2 pairs."""
    quarter, half, whole = at(0.25, 0.5, 1.0)
    assert whole.ranks == {"darts": 1, "grid": 2, "random": 3}
    assert quarter.ranks == {"random": 1, "grid": 2, "darts": 3}
    assert half.ranks == {"grid": 1.5, "random": 1.5, "darts": 3}
    assert (quarter.tau, whole.tau) == (-1, 1)
    assert half.tau == pytest.approx(-2 / (2 * 3) ** 0.5)


def test_moments_are_compared_with_the_baseline(at):
    (half,) = at(0.5)
    assert half.scores["random"].difference.value == pytest.approx(0.0)
    assert half.scores["darts"].difference.value == pytest.approx(-0.2)
    assert half.scores["darts"].num_pairs == 2 < MIN_PAIRS


def test_a_run_that_has_nothing_yet_is_in_no_mean(store: Store):
    store_runs(store, "study", {"grid": [GRID, GRID], "darts": [SUPERNET, RANDOM]})
    runs = store.frame("v_compare", "study")
    (moment,) = moments(runs, store.frame("v_incumbent", "study"), compare(runs), [0.25])
    assert moment.scores["darts"].num == 1
    assert moment.scores["darts"].accuracy.value == pytest.approx(0.6)
