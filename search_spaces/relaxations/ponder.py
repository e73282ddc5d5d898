"""PonderNet (Banino, Balaguer & Blundell, 2021, arXiv 2107.05407): a distribution over the number of steps.

After step n a network stops with probability `lambda_n`, if it has not stopped before. The last step, L, is where it
stops for certain. All products are sums of logarithms, none of which is infinite.
Shapes: B batch, L steps, M = L - 1 steps after which there is a choice, K classes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def log_stops(logits_BM: Tensor) -> Tensor:
    """`log p_n`, `[B, L]`, with `p_n = lambda_n prod_{j<n} (1 - lambda_j)` and what is left for p_L.

    `logits_BM` are those of lambda_1..lambda_{L-1}.
    """
    certain_B1 = torch.zeros_like(logits_BM[:, :1])
    log_reached_BL = torch.cat([certain_B1, F.logsigmoid(-logits_BM).cumsum(dim=1)], dim=1)
    log_stopped_BL = torch.cat([F.logsigmoid(logits_BM), certain_B1], dim=1)
    return log_reached_BL + log_stopped_BL


def log_geometric(lambda_p: float, num_steps: int) -> Tensor:
    """`log p_G(n)`, `[L]`: the geometric distribution `(1 - lambda_p)^(n - 1) lambda_p`, truncated and normalised."""
    return (torch.arange(num_steps) * math.log1p(-lambda_p)).log_softmax(dim=0)


def divergence(log_p_BL: Tensor, log_g_L: Tensor) -> Tensor:
    """`KL(p || p_G)` in nats, `[B]`, in the paper's direction: widely copied code has the other one."""
    return (log_p_BL.exp() * (log_p_BL - log_g_L)).sum(dim=1)


def log_mixture(log_p_BL: Tensor, y_LBK: Tensor) -> Tensor:
    """`log sum_n p_n softmax(y_n)`, `[B, K]`: what a network that stops at random predicts on average."""
    return (log_p_BL.T.unsqueeze(-1) + y_LBK.log_softmax(dim=-1)).logsumexp(dim=0)
