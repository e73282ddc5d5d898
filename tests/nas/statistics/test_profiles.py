"""Performance profiles by hand."""

import pytest

from nas.statistics.profiles import profiles

METHODS = {
    "a": {"easy": [0.90, 0.94], "hard": [0.40, 0.50]},  # means 0.92, 0.45
    "b": {"easy": [0.93, 0.95], "hard": [0.30, 0.40]},  # means 0.94, 0.35
}


def test_shares_are_counted_from_the_best_mean_of_each_task():
    """The best means are 0.94 and 0.45. Within 0: a has 1 of 2 and 1 of 2; b has 1 of 2 and none."""
    curves = profiles(METHODS, [0.0, 0.01, 0.05, 0.1, 0.2])
    assert curves["a"] == pytest.approx([0.5, 0.5, 1.0, 1.0, 1.0])
    assert curves["b"] == pytest.approx([0.25, 0.5, 0.75, 0.75, 1.0])


def test_a_task_counts_once_however_many_runs_it_has():
    curves = profiles({"a": {"easy": [0.9] * 10, "hard": [0.1, 0.5]}}, [0.0])
    assert curves["a"] == pytest.approx([(1 + 0.5) / 2])


def test_a_method_that_lacks_a_task_has_no_profile():
    assert list(profiles({**METHODS, "c": {"easy": [0.99]}}, [0.0])) == ["a", "b"]
    assert profiles({"a": {}, "b": {}}) == {}


def test_a_method_that_lacks_a_task_still_sets_the_standard():
    assert profiles({**METHODS, "c": {"easy": [0.99]}}, [0.05])["a"] == pytest.approx([(0.5 + 1.0) / 2])
