"""A posterior over depth, learned with the weights by an evidence bound.

- Categorical: depth uncertainty networks (DUN; Antoran, Allingham & Hernandez-Lobato, NeurIPS 2020, arXiv 2006.08437).
  One head reads every depth; every depth is computed in every pass.
- Poisson: unbounded depth networks (UDN; Nazaret & Blei, ICML 2022, arXiv 2209.10091). Every depth has a head; only
  the depths up to a quantile of the posterior are computed, and their number follows the posterior.

The loss is the negative bound per label, of which there are N: `sum_d q_d l_d + KL(q || p) / N`. The network answers
with the mixture `sum_d q_d p(y | x, d)`, whose logarithm `forward` returns as logits. A Gaussian prior of the weights,
of scale s, is a weight decay of `1 / (N s^2)` with SGD, and left to the study's training. (UDN multiplies that of a
level by the probability that the network is that deep.)

Differences from UDN. The depth of the space's deepest chain bounds the network. Its levels are all made at once, and a
level is used while the truncation reaches it: one that is not in use costs nothing and, having no gradient, is left
alone by the optimizer, with its moments and step count, as if it were made on its first use. So checkpoints have one
shape, the seed alone decides the weights, and the price, that of all levels in every step, is never exceeded. The
prior is cut to the space's depths, which adds a constant. The paper's L counts from 1: here k = L - 1 is the rank of a
depth among those that the space allows, so that level 0, the stem, stands for the paper's first layer.

Shapes: B batch, K classes, D depths, M depths in use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.readings import Readings
from search_spaces.relaxations.chains import architectures_of, chain_of_depths, deepest
from search_spaces.relaxations.evidence import Prior, log_prior
from search_spaces.relaxations.level_heads import give_levels_heads, read_levels
from search_spaces.relaxations.posteriors import Categorical, Exact, TruncatedPoisson
from search_spaces.relaxations.relaxation import Criterion, Probe
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class DepthPosterior:
    """Learns a posterior over the depths of a chain with one stage and nothing else to choose."""

    posterior: Literal["categorical", "poisson"] = "categorical"
    """A probability for every depth (DUN), or a truncated Poisson distribution (UDN)."""
    bound: Literal["elbo", "marginal"] = "elbo"
    """What is maximised. Marginal, for categorical only: the evidence itself; a control that collapses to one depth."""
    prior: Prior | None = None
    """Of the depths; none: uniform for categorical, poisson for poisson."""
    prior_mean: float = Field(default=1.0, gt=0)
    """Depths beyond the shallowest that a geometric or Poisson prior expects; UDN's spirals have 0.5."""
    heads: Literal["shared", "own"] | None = None
    """One head for all depths, or one each; none: shared for categorical, own for poisson."""
    initial_nu: float = Field(default=1.0, ge=0.01, le=1000)
    """Rate with which a Poisson posterior starts; UDN's experiments have 1 (spirals) and 5 (CIFAR-10)."""
    quantile: float = Field(default=0.95, gt=0, lt=1)
    """Of a Poisson posterior, where it is cut."""
    learning_rate_factor: float | None = Field(default=None, gt=0)
    """The posterior's learning rate over that of the weights; none: 1 for categorical, 0.1 for poisson."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Part of the training, from its start, during which the posterior stays as it is."""

    recipe = "joint"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        default = 1.0 if self.posterior == "categorical" else 0.1
        factor = default if self.learning_rate_factor is None else self.learning_rate_factor
        return {"architecture_learning_rate_factor": factor}

    def check(self, space: SearchSpace) -> None:
        chain_of_depths(space, method="depth_posterior")
        if self.bound == "marginal" and self.posterior != "categorical":
            raise InvalidInput(f"must be elbo for a {self.posterior} posterior, got marginal", field="bound")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        chain, depths = chain_of_depths(space, method="depth_posterior")
        return DepthPosteriorNetwork(chain, tuple(sorted(depths)), self)

    def make_posterior(self, num_depths: int) -> Categorical | Exact | TruncatedPoisson:
        """The distribution q as it starts."""
        if self.posterior == "poisson":
            return TruncatedPoisson(num_depths, initial_nu=self.initial_nu, quantile=self.quantile)
        return Categorical(num_depths) if self.bound == "elbo" else Exact(num_depths)

    def make_log_prior(self, num_depths: int) -> Tensor:
        """Log probabilities `[D]`."""
        default: Prior = "uniform" if self.posterior == "categorical" else "poisson"
        return log_prior(self.prior or default, self.prior_mean, num_depths)

    @property
    def has_own_heads(self) -> bool:
        """Whether every depth has a head."""
        return (self.heads or ("shared" if self.posterior == "categorical" else "own")) == "own"


class DepthPosteriorNetwork(nn.Module):
    """The deepest chain, read at every depth in use, and the posterior over them."""

    log_prior_D: Tensor

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: DepthPosterior) -> None:
        super().__init__()
        self.space = space
        self.depths = depths
        self.options = options
        self.chain: Chain = space.build(deepest(space))
        self.heads = give_levels_heads(self.chain, space, depths) if options.has_own_heads else nn.ModuleDict()
        self.posterior = options.make_posterior(len(depths))
        self.register_buffer("log_prior_D", options.make_log_prior(len(depths)), persistent=False)
        self.num_labels: int | None = None
        self.is_fully_grown = False

    def begin(self, num_labels: int) -> None:
        """How many labels the likelihood has, against which the prior counts once."""
        self.num_labels = num_labels

    def anneal(self, progress: float) -> None:
        """Hold the posterior while it warms up."""
        for parameter in self.architecture_parameters():
            parameter.requires_grad_(progress >= self.options.warmup)

    def size(self) -> int:
        """The depths in use."""
        return self.posterior.num_used

    def grow_fully(self) -> None:
        """Use all depths from now on."""
        self.posterior.num_used = len(self.depths)
        self.is_fully_grown = True

    def forward(self, x_B: Tensor) -> Tensor:
        """Log probabilities `y_BK`, or `y_BTK`, of the mixture, which are logits of it."""
        return self._joint(self._answers(self._states(x_B))).logsumexp(dim=0)

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The negative evidence bound per label."""
        assert self.num_labels is not None, "begin() tells how many labels there are"
        loss_M = torch.stack([criterion(y_BK, y_B).mean() for y_BK in self._answers(self._states(x_B))])
        return self.posterior.loss(loss_M, self.log_prior_D, self.num_labels)

    def probe(self, x_B: Tensor) -> Probe:
        """The levels down to the deepest in use; one that is no depth is read by the head of the next that is."""
        states = self._states(x_B)
        levels = read_levels(states, self.depths, self._logits)
        used = self._used()
        joint_MBK, log_q_M = self._joint([levels[depth] for depth in used]), self.posterior.log_probs()
        mixture_BK = joint_MBK.logsumexp(dim=0)
        removals = [mixture_BK] * len(states)
        for index, depth in enumerate(used):
            others = [other for other in range(len(used)) if other != index]
            removals[depth] = joint_MBK[others].logsumexp(dim=0) - log_q_M[others].logsumexp(dim=0)
        sizes = [h_B.square().mean() for h_B in states]
        return Probe(logits=mixture_BK, levels=levels, removals=removals, sizes=sizes)

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Those of the posterior, if it is learned."""
        return list(self.posterior.parameters())

    def constrain(self) -> None:
        """Let the truncation follow the posterior, unless all depths are wanted."""
        if not self.is_fully_grown:
            self.posterior.constrain()

    def profile(self) -> tuple[float, ...]:
        """The posterior probability of every level down to the deepest in use."""
        of_depth = dict(zip(self._used(), self.posterior.log_probs().exp().tolist(), strict=True))
        return tuple(of_depth.get(level, 0.0) for level in range(self._used()[-1] + 1))

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The depths by their posterior probability (ties, and those that have none: shallow first)."""
        of_level = dict(enumerate(self.profile()))
        ranked = sorted(self.depths, key=lambda depth: (-of_level.get(depth, 0.0), depth))
        return architectures_of(self.space, ranked)

    def _used(self) -> tuple[int, ...]:
        """The depths in use, shallowest first."""
        return self.depths[: self.posterior.num_used]

    def _states(self, x_B: Tensor) -> list[Tensor]:
        """The hidden state after every level down to the deepest in use."""
        states = [self.chain.stem(x_B)]
        for block in islice(self.chain.blocks, self._used()[-1]):
            states.append(block(states[-1]))
        return states

    def _answers(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Logits `y_BK` of every depth in use."""
        return [self._logits(depth, states[depth]) for depth in self._used()]

    def _logits(self, depth: int, h_B: Tensor) -> Tensor:
        y_BK: Tensor = self.heads[str(depth)](h_B) if self.options.has_own_heads else self.chain.head(h_B)
        return y_BK

    def _joint(self, answers: Sequence[Tensor]) -> Tensor:
        """`log q_d + log p(y | x, d)`, `[M, B, K]`, for the answers of the depths in use."""
        log_q_M = self.posterior.log_probs()
        log_p = [y_BK.log_softmax(dim=-1, dtype=log_q_M.dtype) for y_BK in answers]
        return torch.stack([log_q + log_p_BK for log_q, log_p_BK in zip(log_q_M, log_p, strict=True)])
