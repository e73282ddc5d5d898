"""A Gaussian process on codes of architectures (Rasmussen & Williams, 2006, chapters 2 and 5).

Its kernel has two parts, whose weights and scales are the most probable ones given the data and a log-normal prior:

    k(a, b) = v_1 exp(-r m(a, b) - sum_s (a_s - b_s)^2 / 2 l_s^2) + v_2 exp(-sum_s (a_s - b_s)^2 / 2 S l^2)

where m is the share of decisions that are answered differently and a_s are standardised sizes (depth, FLOPs,
parameters): the first part knows networks by their relatives, the second by their size alone.

Shapes: N points told, Q points pending, M points asked about, C columns of one-hot codes, S sizes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dtrtrs
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

Floats = NDArray[np.float64]

PRIOR = {"product": (1.0, 0.7), "rate": (4.0, 0.3), "scales": (2.0, 1.0), "smooth": (0.5, 1.0), "scale": (1.0, 0.7)}
PRIOR_NOISE = (0.05, 1.5)
"""Median and spread (of the logarithm) of v_1, r, l_s, v_2, l and the noise, for values and sizes of variance 1."""
JITTER = 1e-5
MAX_ITERATIONS = 15
"""Of one tuning, which goes on from where the last one ended."""
NOT_POSITIVE = 1e10
"""The loss where a covariance is not positive definite."""
LOG_BOUND = 9.0
"""Logarithms of hyperparameters stay within these bounds."""
LEAST_VARIANCE = 1e-10


def one_thread() -> AbstractContextManager[object]:
    """Matrices this small are multiplied much faster by one thread than by several that wait for each other."""
    limit: AbstractContextManager[object] = _thread_pools().limit(limits=1)
    return limit


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


@dataclass(frozen=True, kw_only=True)
class Points:
    """Architectures as a model sees them."""

    codes_NC: Floats
    sizes_NS: Floats

    def __len__(self) -> int:
        return len(self.codes_NC)


class Differences(NamedTuple):
    """Between the points of two sets, of which tuning looks many times at the same."""

    mismatches_NM: Floats
    """Shares of the decisions."""
    squares_SNM: Floats
    """Squared differences of each size."""
    distances_NM: Floats
    """The sums of these."""


class GaussianProcess:
    """The model; its only memory is its hyperparameters.

    Args:
        num_decisions: of an ordinary architecture: what mismatches are a share of.
        num_sizes: S.
    """

    def __init__(self, *, num_decisions: float, num_sizes: int) -> None:
        self.num_decisions = num_decisions
        self.num_sizes = num_sizes
        prior = [PRIOR["product"], PRIOR["rate"], *[PRIOR["scales"]] * num_sizes, PRIOR["smooth"], PRIOR["scale"]]
        medians, spreads = zip(*prior, PRIOR_NOISE, strict=True)
        self._prior_mean, self._prior_spread = np.log(medians), np.array(spreads)
        self._theta = self._prior_mean.copy()

    def tune(self, points: Points, z_N: Floats) -> None:
        """Move the hyperparameters to the most probable ones for values `z_N`, of mean 0 and variance 1."""
        with one_thread():
            found = minimize(
                self._loss,
                self._theta,
                args=(self._differences(points, points), z_N),
                jac=True,
                method="L-BFGS-B",
                bounds=[(-LOG_BOUND, LOG_BOUND)] * len(self._theta),
                options={"maxiter": MAX_ITERATIONS},
            )
        if found.fun < NOT_POSITIVE:
            self._theta = found.x

    def predict(self, told: Points, z_N: Floats, pending: Points | None, asked: Points) -> tuple[Floats, Floats]:
        """Mean and standard deviation `[M]` of the values without noise.

        What is pending leaves the mean alone and narrows the deviation, as if its value had been the mean (Desautels,
        Krause & Burdick, JMLR 2014, GP-BUCB).
        """
        known = told if pending is None else _both(told, pending)
        with one_thread():
            return self._condition(known, len(told), z_N, asked)

    def _condition(self, known: Points, num_told: int, z_N: Floats, asked: Points) -> tuple[Floats, Floats]:
        covariance = np.add(*self._kernel(self._differences(known, known)))
        covariance[np.diag_indices(len(known))] += self._noise()
        factor, _ = dpotrf(covariance, lower=1)
        solved_NM, _ = dtrtrs(factor, np.add(*self._kernel(self._differences(known, asked))), lower=1)
        weights_N, _ = dtrtrs(factor[:num_told, :num_told], z_N, lower=1)
        product, smooth = np.exp(self._theta[[0, -3]])
        variance_M = np.maximum(product + smooth - (solved_NM**2).sum(axis=0), LEAST_VARIANCE)
        return solved_NM[:num_told].T @ weights_N.ravel(), np.sqrt(variance_M)

    def _noise(self) -> float:
        return float(np.exp(self._theta[-1])) + JITTER

    def _differences(self, one: Points, other: Points) -> Differences:
        width = max(one.codes_NC.shape[1], other.codes_NC.shape[1])
        matches = _widened(one.codes_NC, width) @ _widened(other.codes_NC, width).T
        decisions = (one.codes_NC.sum(axis=1)[:, None] + other.codes_NC.sum(axis=1)) / 2
        squares = (one.sizes_NS.T[:, :, None] - other.sizes_NS.T[:, None, :]) ** 2
        return Differences((decisions - matches) / self.num_decisions, squares, squares.sum(axis=0))

    def _kernel(self, differences: Differences, theta: Floats | None = None) -> tuple[Floats, Floats]:
        """Both parts of the kernel, `[N, M]` each."""
        mismatches, squares, distances = differences
        product, rate, *scales, smooth, scale, _ = np.exp(self._theta if theta is None else theta)
        weighted = np.tensordot(0.5 / np.square(scales), squares, axes=1)
        unweighted = distances / (2 * self.num_sizes * scale**2)
        return product * np.exp(-rate * mismatches - weighted), smooth * np.exp(-unweighted)

    def _loss(self, theta: Floats, differences: Differences, z_N: Floats) -> tuple[float, Floats]:
        """Minus the log posterior of the hyperparameters, up to a constant, and its gradient (equation 5.9)."""
        mismatches, squares, distances = differences
        parts = self._kernel(differences, theta)
        values = np.exp(theta)
        covariance = parts[0] + parts[1]
        covariance[np.diag_indices(len(z_N))] += values[-1] + JITTER
        factor, failed = dpotrf(covariance, lower=1)
        if failed:
            return NOT_POSITIVE, np.zeros_like(theta)
        lower, _ = dpotri(factor, lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        alpha_N = inverse @ z_N
        deviation = (theta - self._prior_mean) / self._prior_spread
        loss = 0.5 * z_N @ alpha_N + np.log(np.diag(factor)).sum() + 0.5 * deviation @ deviation
        outer = np.outer(alpha_N, alpha_N) - inverse
        product, smooth = outer * parts[0], outer * parts[1]
        rises = [
            product.sum(),
            -values[1] * np.vdot(product, mismatches),
            *(np.vdot(product, square) / scale**2 for square, scale in zip(squares, values[2:-3], strict=True)),
            smooth.sum(),
            np.vdot(smooth, distances) / (self.num_sizes * values[-2] ** 2),
            np.trace(outer) * values[-1],
        ]
        return float(loss), deviation / self._prior_spread - 0.5 * np.array(rises)


def _both(one: Points, other: Points) -> Points:
    width = max(one.codes_NC.shape[1], other.codes_NC.shape[1])
    codes = np.concatenate([_widened(one.codes_NC, width), _widened(other.codes_NC, width)])
    return Points(codes_NC=codes, sizes_NS=np.concatenate([one.sizes_NS, other.sizes_NS]))


def _widened(codes_NC: Floats, width: int) -> Floats:
    """Codes made before the last answers were met lack their columns, which are zero."""
    missing = width - codes_NC.shape[1]
    return np.pad(codes_NC, ((0, 0), (0, missing))) if missing > 0 else codes_NC
