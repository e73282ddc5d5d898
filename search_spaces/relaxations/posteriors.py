"""Distributions q over the depths of a chain, which a network learns beside its weights.

Each gives `log_probs`, log probabilities of the shallowest `num_used` depths; no other depth has any. `loss` is what
weights and q minimise, from the mean loss of every depth in use.

Shapes: D depths, M = `num_used` of them.
"""

from __future__ import annotations

from math import exp, expm1, log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.relaxations.evidence import log_joint, negative_elbo, negative_log_evidence

MIN_NU = 1e-3
"""A smaller rate would be as good as none, and at 0 its logarithm is lost."""


class Categorical(nn.Module):
    """`q = softmax(logits)`, at first uniform (Antoran, Allingham & Hernandez-Lobato, NeurIPS 2020)."""

    def __init__(self, num_depths: int) -> None:
        super().__init__()
        self.num_used = num_depths
        self.logits_D = nn.Parameter(torch.zeros(num_depths))

    def log_probs(self) -> Tensor:
        """Log probabilities `[M]`."""
        return self.logits_D.log_softmax(dim=0)

    def loss(self, loss_M: Tensor, log_prior_D: Tensor, num_labels: int) -> Tensor:
        """The evidence bound."""
        return negative_elbo(loss_M, self.log_probs(), log_prior_D, num_labels)

    def constrain(self) -> None:
        """Nothing to do: the softmax is defined everywhere."""


class Exact(nn.Module):
    """The exact posterior under the last batch, with the evidence itself in the place of a bound.

    Nothing is learned beside the weights. The gradient of every depth's loss is multiplied by the depth's posterior
    probability, so one that is ahead by a few nats, of thousands, is soon the only one that is trained (Antoran et al.
    report that and learn q instead).
    """

    log_q_D: Tensor

    def __init__(self, num_depths: int) -> None:
        super().__init__()
        self.num_used = num_depths
        self.register_buffer("log_q_D", torch.zeros(num_depths).log_softmax(dim=0))

    def log_probs(self) -> Tensor:
        """Log probabilities `[M]`."""
        return self.log_q_D

    def loss(self, loss_M: Tensor, log_prior_D: Tensor, num_labels: int) -> Tensor:
        """The evidence. The posterior that goes with it is kept, as in the authors' code."""
        self.log_q_D = log_joint(loss_M.detach(), log_prior_D, num_labels).log_softmax(dim=0)
        return negative_log_evidence(loss_M, log_prior_D, num_labels)

    def constrain(self) -> None:
        """Nothing to do."""


class TruncatedPoisson(nn.Module):
    """`q_k` proportional to `nu^k / k!` for the ranks k = 0..M-1 of the depths (Nazaret & Blei, ICML 2022).

    M follows nu: the depths up to the `quantile` of the Poisson distribution are in use, and at least two, since with
    one nu would have no gradient. That number is a step function: the gradient of nu is that of q at a given M, as in
    the authors' code. `nu = softplus(raw)`.
    """

    def __init__(self, num_depths: int, *, initial_nu: float, quantile: float) -> None:
        super().__init__()
        self.num_depths = num_depths
        self.quantile = quantile
        self.raw = nn.Parameter(torch.tensor(_softplus_inverse(initial_nu)))
        # Kept as a number: a network on the meta device, whose FLOPs are counted, has no nu to read.
        self.num_used = truncation(initial_nu, quantile, num_depths)
        self.register_load_state_dict_post_hook(_truncate_again)  # type: ignore[no-untyped-call]

    def nu(self) -> Tensor:
        """The rate, a scalar."""
        return F.softplus(self.raw)

    def log_probs(self) -> Tensor:
        """Log probabilities `[M]`."""
        k_M = torch.arange(self.num_used, dtype=self.raw.dtype, device=self.raw.device)
        return (k_M * self.nu().log() - torch.lgamma(k_M + 1)).log_softmax(dim=0)

    def loss(self, loss_M: Tensor, log_prior_D: Tensor, num_labels: int) -> Tensor:
        """The evidence bound."""
        return negative_elbo(loss_M, self.log_probs(), log_prior_D[: self.num_used], num_labels)

    @torch.no_grad()
    def constrain(self) -> None:
        """Keep nu positive, and let M follow it. That reads nu, for which an accelerator has to be waited for."""
        self.raw.clamp_(min=_softplus_inverse(MIN_NU))
        self.num_used = truncation(self.nu().item(), self.quantile, self.num_depths)


def truncation(nu: float, quantile: float, num_depths: int) -> int:
    """How many depths are in use: those of the ranks 0..k, for the first k > nu whose Poisson CDF is `quantile`."""
    k, probability = 0, exp(-nu)
    cdf = probability
    while k + 1 < num_depths and (k <= nu or cdf < quantile):
        k += 1
        probability *= nu / k
        cdf += probability
    return k + 1


def _softplus_inverse(value: float) -> float:
    """`log(exp(value) - 1)`."""
    return value + log(-expm1(-value))


def _truncate_again(module: nn.Module, *_: Any) -> None:
    assert isinstance(module, TruncatedPoisson)
    module.constrain()
