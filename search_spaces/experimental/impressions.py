"""Data impressions: what a trained classifier takes for examples of its classes, found without any data.

Nayak et al., ICML 2019, arXiv 1905.08114 ("Zero-shot knowledge distillation in deep networks"). The weights of the last
layer say which classes the network finds similar (equation 2):

    `C_ij = <w_i, w_j> / (|w_i| |w_j|)`

and so which answers to expect for an example of class k: `y ~ Dirichlet(beta c_k)`, where c_k is row k of C, brought to
[0, 1] by its least and greatest value, and half of the answers have beta = 1, the others 0.1. An impression is noise
that was changed until the network, its logits divided by tau = 20, gives that answer (equation 4).

The authors' code adds 1e-4 to the concentrations, as here, since a Dirichlet's must be positive. It also brings rows to
[0, 1] again once they were multiplied by beta, so that both halves have beta = 1; here they are what the paper says.
Shapes: K classes, D features, N impressions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

BETAS = (1.0, 0.1)
"""Section 4.1 of the paper: a mixture of the two, half of the impressions each."""
LEAST_CONCENTRATION = 1e-4
"""As in the authors' code."""


def class_similarity(weight_KD: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines `[K, K]` of the weights of the classes (equation 2)."""
    unit_KD: NDArray[np.float64] = weight_KD / np.linalg.norm(weight_KD, axis=1, keepdims=True)
    return unit_KD @ unit_KD.T


def concentrations(similarity_KK: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Of the answers to expect for an example of each class, `[K, K]`, one row per class."""
    least_K1, greatest_K1 = similarity_KK.min(axis=1, keepdims=True), similarity_KK.max(axis=1, keepdims=True)
    scaled_KK: NDArray[np.float64] = (similarity_KK - least_K1) / (greatest_K1 - least_K1)
    return beta * scaled_KK + LEAST_CONCENTRATION


def draw_answers(weight_KD: NDArray[np.float64], num_impressions: int, *, seed: int) -> NDArray[np.float64]:
    """Answers `[N, K]`, probabilities: the classes in turn, the first time with the first beta, and so on."""
    rng = np.random.default_rng(seed)
    of_beta = [concentrations(class_similarity(weight_KD), beta) for beta in BETAS]
    turns = (divmod(number, len(weight_KD)) for number in range(num_impressions))
    return np.stack([rng.dirichlet(of_beta[turn % len(BETAS)][k]) for turn, k in turns])


def mismatch(y_NK: Tensor, answer_NK: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the softened answers to logits and the answers that were asked for, a mean (equation 4)."""
    loss: Tensor = -(answer_NK * (y_NK / temperature).log_softmax(dim=1)).sum(dim=1).mean()
    return loss
