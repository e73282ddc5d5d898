"""Asynchronous successive halving, ASHA (Li et al., MLSys 2020, arXiv 1810.05934, algorithm 2).

What differs from the paper: rungs are counted from the top, `max_epochs // reduction_factor**k`, so that the highest is
one ordinary training also where the paper's would end short of it; and a candidate that was tried is drawn again.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.candidates import SAMPLERS
from controllers.ladder import make_ladder, may_go_on, rank
from controllers.trial import Proposal, Trial
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class Asha:
    """Promotes whenever it can, and otherwise adds a candidate to the lowest rung; it never waits.

    Of a rung with n trials told, the best `floor(n / reduction_factor)` may go on, each once. The highest rung that
    has one to promote comes first, and on it the best. A trial that fails counts towards n, as the worst, and is
    never promoted.
    """

    space: SearchSpace = Field(repr=False)
    seed: int
    trial_epochs: int = Field(ge=1)
    min_epochs: int = Field(default=1, ge=1)
    """Fewest epochs of the lowest rung. Rungs are `max_epochs // reduction_factor**k` epochs high."""
    max_epochs: int | None = Field(default=None, ge=1)
    """Epochs of the highest rung, which the learning-rate schedule of every trial spans; none: `training.epochs`."""
    reduction_factor: int = Field(default=4, ge=2)
    """One in so many candidates goes on to the next rung."""
    sampler: Literal["random"] = "random"
    """How candidates are drawn."""

    def __post_init__(self) -> None:
        self._ladder = make_ladder(
            min_epochs=self.min_epochs,
            max_epochs=self.max_epochs or self.trial_epochs,
            reduction_factor=self.reduction_factor,
        )
        self._tried: set[Architecture] = set()
        self._num_told = [0] * len(self.rungs)
        self._ranking: list[list[Trial]] = [[] for _ in self.rungs]
        self._promoted: set[int] = set()

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of every rung, from the lowest."""
        return self._ladder.epochs

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        promoted = {trial.proposal.parent for trial in pending}
        for rung in reversed(range(self._ladder.top)):
            for trial in self._ranking[rung][: self._num_told[rung] // self.reduction_factor]:
                if trial.number not in self._promoted and trial.number not in promoted:
                    return self._ladder.promote(trial)
        tried = self._tried.union(trial.architecture for trial in pending if trial.architecture is not None)
        rng = np.random.default_rng((self.seed, number))
        return self.start(SAMPLERS[self.sampler](self.space, rng, tried))

    def start(self, architecture: Architecture) -> Proposal:
        """A new candidate, on the lowest rung."""
        return self._ladder.start(architecture)

    def tell(self, trial: Trial) -> None:
        assert trial.architecture is not None, "this method proposes architectures only"
        rung = self._ladder.rung(trial)
        self._tried.add(trial.architecture)
        self._num_told[rung] += 1
        if trial.proposal.parent is not None:
            self._promoted.add(trial.proposal.parent)
        if may_go_on(trial):
            insort(self._ranking[rung], trial, key=rank)
