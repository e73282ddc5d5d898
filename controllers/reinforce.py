"""An LSTM controller trained by policy gradient (Zoph & Le, ICLR 2017, arXiv 1611.01578, section 3.2).

What differs from the paper: one controller instead of a hundred replicas, an entropy bonus (as ENAS has, Pham et
al., ICML 2018), and defaults for hundreds of trials where the paper had 12,800 (given at each field).
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.policy import Allowed, LstmPolicy, everything, policy_flops
from controllers.trial import Proposal, Trial
from search_spaces.architecture import Architecture, Option
from search_spaces.compose import Decision, draw_allowed, trace
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

DEPTH_PATTERN = "*depth"
"""Names of the decisions that a depth schedule limits."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DepthSchedule:
    """Depths up to `start + step * (number // every)` for trial `number`; the defaults are the paper's."""

    start: int = Field(default=6, ge=0)
    step: int = Field(default=2, ge=0)
    every: int = Field(default=1600, ge=1)

    def limit(self, number: int) -> int:
        """Largest depth that trial `number` may have."""
        return self.start + self.step * (number // self.every)

    def allowed(self, number: int, name: str, options: Sequence[Option]) -> Sequence[int]:
        """Indices of the depths within the limit; of the smallest alone when all are above it."""
        if not fnmatchcase(name, DEPTH_PATTERN):
            return everything(name, options)
        limit = self.limit(number)
        within = [i for i, depth in enumerate(options) if not isinstance(depth, int | float) or depth <= limit]
        return within or [int(np.argmin(options))]


@dataclass(kw_only=True, config=CONFIG)
class Reinforce:
    """REINFORCE with a moving-average baseline.

    The reward is `score ** reward_power`; a FAILED trial earns 0, a PRUNED one what it had reached. With b the
    baseline and R the reward, a trial's loss is `-(R - b) sum_t log P(a_t) - entropy_weight sum_t H_t`, averaged
    over `batch` trials per Adam step. The advantage uses the baseline from before the trial, then
    `b <- baseline_decay * b + (1 - baseline_decay) * R`. The first reward becomes the baseline itself, so its
    advantage is 0. Log-probabilities are those of the policy at the time of the tell.
    """

    space: SearchSpace = Field(repr=False)
    seed: int
    learning_rate: float = Field(default=0.005, gt=0)
    """The paper's 0.0006 hardly moves the policy within a few hundred trials."""
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)
    """Of the moving average of rewards."""
    entropy_weight: float = Field(default=0.001, ge=0)
    """Bonus for decisions that are not made up yet."""
    batch: int = Field(default=2, ge=1)
    """Trials per update; the paper had 8 per replica."""
    reward_power: float = Field(default=1.0, gt=0)
    """The paper cubes the accuracy."""
    num_units: int = Field(default=35, ge=1)
    """Units of each LSTM layer."""
    num_layers: int = Field(default=2, ge=1)
    """LSTM layers."""
    depth_schedule: DepthSchedule | None = None
    """`{start, step, every}`: no depth above start + step * (number // every) for trial `number`; none: no limit."""

    def __post_init__(self) -> None:
        self._policy = LstmPolicy(seed=self.seed, num_units=self.num_units, num_layers=self.num_layers)
        self._optimizer = torch.optim.Adam(self._policy.parameters.values(), lr=self.learning_rate, fused=True)
        self._baseline: float | None = None
        self._num_told = 0

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        rng = np.random.default_rng((self.seed, number))
        allowed = self._allowed(number)
        architecture = draw_allowed(self.space, lambda: trace(self.space, self._policy.chooser(rng, allowed))[0])
        asked = self._replay(architecture)
        option_counts = tuple(len(decision.options) for decision in asked)
        flops = policy_flops(self.num_units, self.num_layers, option_counts)
        return Proposal(architecture=architecture, controller_flops=flops)

    def tell(self, trial: Trial) -> None:
        reward = 0.0 if trial.score is None else trial.score**self.reward_power
        advantage = 0.0 if self._baseline is None else reward - self._baseline
        self._baseline = reward - self.baseline_decay * advantage
        self._learn(trial, advantage)
        self._num_told += 1
        if self._num_told % self.batch == 0:
            # New decisions bring new parameters.
            self._optimizer.param_groups[0]["params"] = list(self._policy.parameters.values())
            self._optimizer.step()
            self._optimizer.zero_grad()

    def _learn(self, trial: Trial, advantage: float) -> None:
        """Add the gradient of the trial's loss."""
        assert trial.architecture is not None, "this method proposes architectures only"
        asked = self._replay(trial.architecture)
        if not asked:
            return
        log_probabilities_T, entropies_T = self._policy.evaluate(asked, self._allowed(trial.number))
        loss = -advantage * log_probabilities_T.sum() - self.entropy_weight * entropies_T.sum()
        torch.autograd.backward(loss / self.batch)

    def _replay(self, architecture: Architecture) -> tuple[Decision, ...]:
        return trace(self.space, lambda name, _: architecture.decisions[name])[1]

    def _allowed(self, number: int) -> Allowed:
        return everything if self.depth_schedule is None else partial(self.depth_schedule.allowed, number)
