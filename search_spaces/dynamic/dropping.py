"""How a policy over blocks learns from rewards: BlockDrop (Wu et al., CVPR 2018, arXiv 1711.08393, section 3).

A policy network says a score for every block, the log-odds `s = sigmoid(score)` that the block is **kept**, all at
once. The policy is `pi(u | x) = prod_k s_k^u_k (1 - s_k)^(1 - u_k)`, where u_k = 1 keeps block k (equation 1). So
`|u|_0` counts kept blocks, and the reward (equation 3) is greater the fewer they are.

The objective is -E[R(u)], whose gradient is `-E[A sum_k dlog pi_k(u_k)]` with the advantage A = R(u) - R(u'), for a
baseline that does not depend on u. Self-critical (Rennie et al., CVPR 2017, arXiv 1612.00563): u' is the policy that is
used after training.
Shapes: B batch, N blocks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def bounded(s_BN: Tensor, alpha: float) -> Tensor:
    """`alpha s + (1 - alpha) (1 - s)`: probabilities that leave something to be explored (equation 6)."""
    return alpha * s_BN + (1 - alpha) * (1 - s_BN)


def reward(u_BN: Tensor, is_right_B: Tensor, penalty: float) -> Tensor:
    """`1 - (|u|_0 / N)^2` of inputs that are classified rightly, else `-penalty`, the paper's gamma (equation 3)."""
    saved_B = 1 - u_BN.mean(dim=1) ** 2
    return torch.where(is_right_B, saved_B, torch.full_like(saved_B, -penalty))


def policy_loss(p_BN: Tensor, u_BN: Tensor, advantage_B: Tensor, controlled_N: Tensor) -> Tensor:
    """Zero, `[B]`, with the gradient of -E[R] that one draw of u from p shows.

    Args:
        p_BN: probabilities that blocks are kept.
        u_BN: drawn policies.
        advantage_B: of the drawn policies, without a gradient.
        controlled_N: 1 for the blocks that were drawn, 0 for those that are kept anyway.
    """
    log_p_BN = -F.binary_cross_entropy(p_BN, u_BN, reduction="none")
    no_value_BN = log_p_BN - log_p_BN.detach()
    return -advantage_B * (no_value_BN * controlled_N).sum(dim=1)


def entropy(score_BN: Tensor) -> Tensor:
    """In nats, of the decision about each block, `[B, N]`, from its log-odds.

    From the probability, a decision that has become certain would have an infinite slope, and the network end in NaN.
    """
    return F.softplus(score_BN) - score_BN * score_BN.sigmoid()


def num_controlled(done: float, num_blocks: int) -> int:
    """Blocks under control, counted from the last, when this part of the curriculum is done: one, then more, then all.

    In the paper it is one block more in every epoch.
    """
    return min(max(math.floor(done * num_blocks) + 1, 1), num_blocks)
