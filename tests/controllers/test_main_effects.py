"""The linear model against the normal equations, with the evidence of a normal distribution."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from controllers.gaussian_process import Points
from controllers.main_effects import RATIOS, main_effects


def example(num):
    """Three decisions with three options each, and a size."""
    rng = np.random.default_rng(0)
    answers = rng.integers(3, size=(num, 3))
    points = Points(codes_NC=np.eye(3)[answers].reshape(num, -1), sizes_NS=rng.normal(size=(num, 1)))
    return points, 0.7 + answers @ [0.5, -0.3, 0.1] + 0.2 * rng.normal(size=num)


def most_probable(x, z_N):
    """The ratio; contrasts, which no constant touches, are normally distributed."""
    contrasts = np.linalg.svd(np.ones((1, len(z_N))))[2][1:]
    values = contrasts @ z_N
    best = (-np.inf, 0.0)
    for ratio in RATIOS:
        shape = contrasts @ (x @ x.T / ratio + np.eye(len(z_N))) @ contrasts.T
        noise = values @ np.linalg.solve(shape, values) / len(values)
        best = max(best, (multivariate_normal.logpdf(values, cov=noise * shape), ratio))
    return best[1]


@pytest.mark.parametrize("num", [9, 30])
def test_means_are_those_of_the_normal_equations_at_the_most_probable_ratio(num):
    """Nine points have fewer directions than columns."""
    points, z_N = example(num)
    x = np.hstack([points.codes_NC, points.sizes_NS])
    ratio = most_probable(x, z_N)
    assert RATIOS[0] < ratio < RATIOS[-1]
    with_constant = np.hstack([x, np.ones((num, 1))])
    penalty = ratio * np.diag([1] * 10 + [0])
    weights = np.linalg.solve(with_constant.T @ with_constant + penalty, with_constant.T @ z_N)
    np.testing.assert_allclose(main_effects(points, z_N), with_constant @ weights, rtol=1e-8)


def test_equal_points_and_equal_scores_have_means_too():
    points, z_N = example(9)
    same = Points(codes_NC=np.ones((4, 2)), sizes_NS=np.zeros((4, 0)))
    np.testing.assert_allclose(main_effects(same, z_N[:4]), z_N[:4].mean())
    np.testing.assert_allclose(main_effects(points, np.full(9, 0.3)), 0.3)
