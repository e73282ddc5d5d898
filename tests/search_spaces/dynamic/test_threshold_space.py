"""Thresholds as a space: which points there are, and how far a mutation goes."""

import numpy as np
import pytest
import torch

from search_spaces.compose import answer, enumerate_space, mutate, sample, size, validate
from search_spaces.dynamic.threshold_space import DIGITS, NONE_LEAVES, ThresholdSpace, quantiles, rule_of
from search_spaces.errors import InvalidArchitecture, InvalidInput
from search_spaces.values import load

VALUES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
SPACE = ThresholdSpace(num_exits=3, values=VALUES)


def thresholds(point):
    return rule_of(point).thresholds


def test_every_pair_of_values_is_a_point():
    points = [thresholds(point) for point in enumerate_space(SPACE)]
    assert points == [(one, other) for one in VALUES for other in VALUES]
    assert size(SPACE).points == 49


def test_digits_name_a_value():
    """Seven values in rows of two: .1 .2 | .3 .4 | .5 .6 | .7, the last of which leaves nothing to ask."""
    point = answer(SPACE, {"threshold1.coarse": 1, "threshold1.fine": 1, "threshold2.coarse": 3})
    assert thresholds(point) == (0.4, 0.7)
    assert rule_of(point).kind == "confidence"
    validate(SPACE, point)


def test_a_grid_ties_them():
    tied = enumerate_space(SPACE, DIGITS, tied=True)
    assert [thresholds(point) for point in tied] == [(value, value) for value in VALUES]


def test_half_of_all_mutations_are_small_steps():
    space = ThresholdSpace(num_exits=2, values=tuple(range(100)))
    rng = np.random.default_rng(0)
    small = 0
    for _ in range(400):
        parent = sample(space, rng)
        (before,), (after,) = thresholds(parent), thresholds(mutate(space, parent, rng))
        assert before != after
        assert before // 10 == after // 10 or before % 10 == after % 10  # one digit of two
        small += abs(before - after) < 10
    assert abs(small / 400 - 0.5) < 3 * (0.25 / 400) ** 0.5  # three standard errors


def test_quantiles_are_confidences_at_equal_steps_of_rank():
    confidence_EB = torch.tensor([[0.9, 0.5, 0.3], [0.95, 0.6, 0.8]], dtype=torch.float64)
    # sorted: .3 .5 .6 .8 .9 .95; ranks 0, 2.5 (to even) and 5
    assert quantiles(confidence_EB, 4) == (0.3, 0.6, 0.95, NONE_LEAVES)
    assert quantiles(torch.full((2, 3), 0.5), 4) == (0.5, NONE_LEAVES)


def test_a_threshold_that_is_a_confidence_lets_it_out():
    """Also in single precision, whose values a study's text must not round."""
    y_BK = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    y_EBK = torch.stack([y_BK, y_BK])
    for rank, value in enumerate(quantiles(y_BK.softmax(dim=-1).amax(dim=-1), 51)):
        rule = rule_of(answer(ThresholdSpace(num_exits=2, values=(value,)), {}))
        assert (rule.exits(y_EBK) == 0).sum() == 50 - rank


def test_values_are_in_order():
    with pytest.raises(InvalidInput, match=r"values: must be ascending and distinct, got \[0.5, 0.5\]"):
        load(ThresholdSpace, {"num_exits": 2, "values": [0.5, 0.5]})


def test_there_is_nothing_to_build():
    with pytest.raises(InvalidArchitecture, match="thresholds are no network"):
        SPACE.build(next(enumerate_space(SPACE)))
