"""Bounds on the evidence of a network whose depth is a random variable, and priors of that depth.

The model: draw a depth d from the prior p, and every label from the network that ends at d. Given weights, the
evidence is `log sum_d p_d prod_n p(y_n | x_n, d)`. Everything is written per label, in nats: with l_d the mean loss of
depth d over a batch, which estimates that over all N labels, the log-likelihood of depth d is `-N l_d`.

Shapes: D depths, M the depths in use, shallowest first.
"""

from __future__ import annotations

from math import log
from typing import Literal, get_args

import torch
from torch import Tensor

Prior = Literal["uniform", "geometric", "poisson"]
PRIORS: tuple[Prior, ...] = get_args(Prior)


def negative_elbo(loss_M: Tensor, log_q_M: Tensor, log_prior_M: Tensor, num_labels: int) -> Tensor:
    """`sum_d q_d l_d + KL(q || p) / N`.

    Never below `negative_log_evidence`, and equal to it where q is the exact posterior.
    """
    return (log_q_M.exp() * (loss_M + (log_q_M - log_prior_M) / num_labels)).sum()


def log_joint(loss_M: Tensor, log_prior_M: Tensor, num_labels: int) -> Tensor:
    """`log p(y, d)` for every depth d, in nats for all N labels together."""
    return log_prior_M - num_labels * loss_M


def negative_log_evidence(loss_M: Tensor, log_prior_M: Tensor, num_labels: int) -> Tensor:
    """`-log sum_d p(y, d) / N`: the exact marginal likelihood that the bound is a bound of."""
    return -log_joint(loss_M, log_prior_M, num_labels).logsumexp(dim=0) / num_labels


def log_prior(kind: Prior, mean: float, num_depths: int) -> Tensor:
    """Log probabilities `[D]` of the depths by their rank k = 0, 1, ..., cut to the D that the space has.

    Poisson: `mean^k / k!`. Geometric: `(mean / (1 + mean))^k`. Both have that mean before they are cut.
    """
    k_D = torch.arange(num_depths, dtype=torch.get_default_dtype())
    match kind:
        case "uniform":
            unnormalized_D = torch.zeros_like(k_D)
        case "geometric":
            unnormalized_D = k_D * log(mean / (1 + mean))
        case "poisson":
            unnormalized_D = k_D * log(mean) - torch.lgamma(k_D + 1)
    return unnormalized_D.log_softmax(dim=0)
