"""Fronts and volumes, against points worked out by hand, brute force, and another implementation."""

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from nas.pareto import hypervolume, on_front


def points(*rows):
    return np.array(rows, dtype=float)


def some_points(num, dimensions, high, seed):
    """Whole numbers, so that there are ties and repeats."""
    return np.random.default_rng(seed).integers(high, size=(num, dimensions)).astype(float)


def test_a_front_by_hand():
    given = points((1, 3), (2, 2), (3, 1), (2, 3), (3, 3), (2, 2), (1, 4))
    assert on_front(given).tolist() == [True, True, True, False, False, True, False]


def test_nothing_has_no_front_and_no_volume():
    assert on_front(np.empty((0, 2))).tolist() == []
    assert [hypervolume(np.empty((0, d)), np.ones(d)) for d in (1, 2, 3)] == [0, 0, 0]


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_front_is_what_nothing_dominates(dimensions, seed):
    given = some_points(60, dimensions, 6, seed)
    expected = [not any((other <= one).all() and (other < one).any() for other in given) for one in given]
    assert on_front(given).tolist() == expected


@pytest.mark.parametrize(
    ("given", "reference", "expected"),
    [
        (points((1, 3), (2, 2), (3, 1)), (4, 4), 3 + 2 + 1),
        (points((1, 1)), (4, 3), 6),
        (points((2,), (1,)), (4,), 3),
        (points((1, 1, 1)), (2, 2, 2), 1),
        (points((0, 1, 1), (1, 0, 0)), (2, 2, 2), 2 + 4 - 1),
        (points((1, 1), (4, 0), (0, 3), (9, 9)), (4, 3), 6),  # on or beyond the reference
    ],
)
def test_volumes_by_hand(given, reference, expected):
    assert hypervolume(given, np.array(reference, dtype=float)) == expected


@pytest.mark.parametrize("dimensions", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_volume_is_the_number_of_dominated_unit_cells(dimensions, seed):
    given = some_points(12, dimensions, 7, seed)
    cells = np.stack(np.meshgrid(*[np.arange(6)] * dimensions), axis=-1).reshape(-1, dimensions)
    dominated = (given[:, None] <= cells).all(axis=2).any(axis=0).sum()
    assert hypervolume(given, np.full(dimensions, 6.0)) == dominated


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_volume_is_that_of_another_implementation(dimensions, seed):
    given = np.random.default_rng(seed).random((80, dimensions))
    reference = np.full(dimensions, 0.9)
    inside = given[(given < reference).all(axis=1)]
    assert hypervolume(given, reference) == pytest.approx(compute_hypervolume(inside, reference), rel=1e-12)


def test_only_the_front_counts_in_any_order():
    given = np.random.default_rng(0).random((50, 3))
    volume = hypervolume(given, np.ones(3))
    assert hypervolume(given[on_front(given)], np.ones(3)) == pytest.approx(volume, rel=1e-12)
    assert hypervolume(given[::-1], np.ones(3)) == pytest.approx(volume, rel=1e-12)
