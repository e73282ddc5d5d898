"""How architecture parameters become the weights of a mixture, and what of it changes while a supernet is trained.

- `softmax`: candidates share a weight of one (DARTS; Liu, Simonyan & Yang, ICLR 2019, equation 2).
- `sigmoid`: every candidate has a weight of its own, so that none gains by another's loss (FairDARTS; Chu et al., ECCV
  2020, arXiv 1911.12126). Its zero-one loss, which drives the weights apart, is left out.
- `gumbel`: `softmax((log softmax(a) + g) / tau)` with Gumbel noise g and a falling temperature tau (GDAS; Dong & Yang,
  CVPR 2019, arXiv 1910.04465). Every forward pass in training draws anew, from torch's current generator. In evaluation
  there is neither noise nor temperature: the weights are the probabilities with which a draw picks each candidate.

A hard draw uses the largest weight alone and passes the gradient straight through to all of them, so every candidate is
still computed, and a step costs what a soft one does. GDAS computes the drawn candidate only, and its gradient alone.
Shapes: `...` any number of mixtures, O candidates of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INIT_SCALE = 1e-3
"""Architecture parameters start at this times a standard normal, as in the code of DARTS."""

Weights = Literal["softmax", "sigmoid", "gumbel"]


@dataclass(kw_only=True)
class Mixing:
    """What all mixtures of one supernet share.

    Two remedies against the drift to paths without weights end with the training, linearly: dropout on such paths
    (P-DARTS; Chen et al., ICCV 2019, arXiv 1904.12760, section 3.2), and a second path without weights beside the
    mixture, which takes over what stabilises training (DARTS-; Chu et al., ICLR 2021, arXiv 2009.01027, equation 4).
    """

    weights: Weights = "softmax"
    hard: bool = False
    tau_start: float = 10.0
    tau_end: float = 0.1
    initial_skip_dropout: float = 0.0
    initial_auxiliary_skip: float = 0.0
    tau: float = field(init=False)
    """Present temperature."""
    skip_dropout: float = field(init=False)
    """Present dropout rate of paths without weights."""
    auxiliary_skip: float = field(init=False)
    """Present weight of the auxiliary path."""

    def __post_init__(self) -> None:
        self.anneal(0.0)

    def anneal(self, progress: float) -> None:
        """Set what is present at this part of the training, in [0, 1)."""
        self.tau = self.tau_start + (self.tau_end - self.tau_start) * progress
        self.skip_dropout = self.initial_skip_dropout * (1 - progress)
        self.auxiliary_skip = self.initial_auxiliary_skip * (1 - progress)

    def __call__(self, logits: Tensor, *, training: bool) -> Tensor:
        """Weights `[..., O]` of logits `[..., O]`. A candidate without competitors has weight one."""
        if logits.shape[-1] == 1:
            return torch.ones_like(logits)
        if self.weights == "sigmoid":
            return logits.sigmoid()
        if self.weights == "gumbel" and training:
            return gumbel_softmax(logits, gumbel_noise(logits), tau=self.tau, hard=self.hard)
        return logits.softmax(dim=-1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Weights `[..., O]` without noise, which sum to one."""
        weights = self(logits, training=False)
        return weights / weights.sum(dim=-1, keepdim=True) if self.weights == "sigmoid" else weights

    def without(self, weights: Tensor, mask: Tensor) -> Tensor:
        """Weights `[..., O]` of the candidates where the mask is one; they share again what they shared before."""
        kept = weights * mask
        if self.weights == "sigmoid":
            return kept
        return kept / kept.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(kept.dtype).tiny)

    def drop_skip(self, h_B: Tensor, *, training: bool) -> Tensor:
        """What passes through a path without weights."""
        return F.dropout(h_B, self.skip_dropout, training) if self.skip_dropout else h_B

    def add_auxiliary(self, mixed_B: Tensor, skip_B: Tensor) -> Tensor:
        """The mixture and the auxiliary path beside it, where their shapes agree."""
        if not self.auxiliary_skip or mixed_B.shape != skip_B.shape:
            return mixed_B
        return mixed_B + self.auxiliary_skip * skip_B


def gumbel_softmax(logits: Tensor, noise: Tensor, *, tau: float, hard: bool) -> Tensor:
    """The relaxed draw `[..., O]`; hard: the one-hot draw with the gradient of the relaxed one."""
    soft = ((logits.log_softmax(dim=-1) + noise) / tau).softmax(dim=-1)
    if not hard:
        return soft
    one_hot = torch.zeros_like(soft).scatter(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return one_hot + soft - soft.detach()


def gumbel_noise(like: Tensor) -> Tensor:
    """`-log E` with E from an exponential distribution, as GDAS draws it; drawn again where it is not finite.

    The second draw is always made: to look whether it is needed would stall a GPU, and cannot be priced without data.
    """
    first, second = (-torch.empty_like(like).exponential_().log() for _ in range(2))
    return torch.where(first.isfinite(), first, second)


def logits(*shape: int) -> Tensor:
    """Fresh architecture parameters; constants where the last dimension offers no choice."""
    if shape[-1] == 1 or prod(shape) == 0:
        return nn.Buffer(torch.zeros(shape))
    return nn.Parameter(INIT_SCALE * torch.randn(shape))
