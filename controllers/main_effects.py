"""A linear model of architectures: what each answer and each size is worth, whatever the others are.

    z = x' w + c + noise,  w ~ N(0, s^2 / r),  noise ~ N(0, s^2)

where x are the one-hot codes and the sizes, and every constant c is as likely as any other. The ratio r and s^2 are the
most probable ones given the data (MacKay, "Bayesian interpolation", Neural Computation 1992).

Shapes: N points, K directions in which they differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controllers.gaussian_process import LEAST_VARIANCE, LOG_BOUND, Points, one_thread

Floats = NDArray[np.float64]

RATIOS = np.exp(np.linspace(-LOG_BOUND, LOG_BOUND, 61))
"""Values of r to choose from."""


def main_effects(points: Points, z_N: Floats) -> Floats:
    """The model's mean at each of the points whose values are `z_N`.

    Ridge regression in the basis of the singular vectors of x, where one decomposition serves all ratios.
    """
    x = np.hstack([points.codes_NC, points.sizes_NS])
    with one_thread():
        basis_NK, lengths_K, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    squares_K, along_K = lengths_K**2, basis_NK.T @ (z_N - z_N.mean())
    unexplained = float(np.sum((z_N - z_N.mean()) ** 2))

    def evidence(ratio: float) -> float:
        """Twice its logarithm, up to a constant, at the most probable s^2."""
        rest = unexplained - float(np.sum(along_K**2 * squares_K / (squares_K + ratio)))
        degrees = len(z_N) - 1
        return -degrees * float(np.log(max(rest / degrees, LEAST_VARIANCE))) - float(np.log1p(squares_K / ratio).sum())

    ratio = max(RATIOS, key=evidence)
    mean_N: Floats = z_N.mean() + basis_NK @ (along_K * squares_K / (squares_K + ratio))
    return mean_N
