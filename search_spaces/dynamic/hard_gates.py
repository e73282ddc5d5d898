"""How gates of 0 and 1 learn: SkipNet's two stages (Wang et al., ECCV 2018, arXiv 1711.09485, section 3), and one more.

A gate says a score s, the log-odds `S = sigmoid(s)` that its block is executed. The objective is
`J = E[L - (alpha / N) sum_i R_i]` with `R_i = (1 - g_i) C_i`, an expectation over the gates `g_i ~ Bernoulli(S_i)`. All
blocks cost C = 1, as in the paper.

Shapes: B batch, N gates, in the order in which they are drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def hard(s_B: Tensor) -> Tensor:
    """`1[S >= 1/2]`: the policy that is used after training."""
    return (s_B >= 0).to(s_B.dtype)


def straight_through(s_B: Tensor) -> Tensor:
    """`hard`, with the gradient of S."""
    soft_B = s_B.sigmoid()
    return hard(s_B) + (soft_B - soft_B.detach())


def gumbel(s_B: Tensor) -> Tensor:
    """A draw from Bernoulli(S), with the gradient of a softmax of the noisy scores (temperature 1).

    That is Gumbel softmax between two options (ConvNet-AIG: Veit & Belongie, ECCV 2018, arXiv 1711.11503): the
    difference of two Gumbel variables is logistic.
    """
    return straight_through(s_B + torch.rand_like(s_B).logit())


def log_probability(s_BN: Tensor, g_BN: Tensor) -> Tensor:
    """`log p(g)` of each gate, `[B, N]`."""
    return -F.binary_cross_entropy_with_logits(s_BN, g_BN, reduction="none")


def savings(g_BN: Tensor, alpha: float) -> Tensor:
    """`(alpha / N) R_i`, `[B, N]`."""
    return alpha / g_BN.shape[1] * (1 - g_BN)


def hybrid_loss(loss_B: Tensor, log_p_BN: Tensor, g_BN: Tensor, *, alpha: float, beta: float) -> Tensor:
    """What one draw of the gates says of J, `[B]`, and, as its gradient, what it says of that of J.

    The gradient is `dL - sum_i r_i dlog p(g_i)`, where `r_i = -[beta L - (alpha / N) sum_{j >= i} R_j]`: savings before
    gate i do not depend on it. With beta = 1 its expectation is the gradient of J.
    """
    savings_BN = savings(g_BN, alpha)
    to_come_BN = savings_BN.flip(1).cumsum(dim=1).flip(1)
    r_BN = -(beta * loss_B.detach().unsqueeze(1) - to_come_BN)
    no_value_BN = log_p_BN - log_p_BN.detach()
    return loss_B - savings_BN.sum(dim=1) - (r_BN * no_value_BN).sum(dim=1)
