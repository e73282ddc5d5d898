"""Successive halving (Jamieson & Talwalkar, AISTATS 2016, arXiv 1502.07943, algorithm 1), as Hyperband runs it inside.

What differs from the paper: a fidelity is a number of epochs, so what is halved is not the budget but the candidates,
and the epochs grow by the same factor (Li et al., JMLR 2018, arXiv 1603.06560, algorithm 1, lines 3 to 9); and brackets
repeat, each with new candidates, until the run's budget is spent.
"""

from __future__ import annotations

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
class SuccessiveHalving:
    """Trains a bracket of candidates for a few epochs, the best of them for several times as long, and so on.

    Rung k has `num_candidates // reduction_factor**k` places, at least one. They go to the best of the rung below
    once all its trials are told. A trial that fails keeps its place, as the worst: it is never promoted, and if too
    few are left, the places above stay empty.
    """

    space: SearchSpace = Field(repr=False)
    seed: int
    trial_epochs: int = Field(ge=1)
    min_epochs: int = Field(default=1, ge=1)
    """Fewest epochs of the lowest rung. Rungs are `max_epochs // reduction_factor**k` epochs high."""
    max_epochs: int | None = Field(default=None, ge=1)
    """Epochs of the highest rung, which the learning-rate schedule of every trial spans; none: `training.epochs`."""
    reduction_factor: int = Field(default=3, ge=2)
    """One in so many candidates goes on to the next rung."""
    num_candidates: int | None = Field(default=None, ge=1)
    """Candidates of a bracket; none: as many as let one reach the highest rung."""
    sampler: Literal["random"] = "random"
    """How candidates are drawn."""

    def __post_init__(self) -> None:
        self._ladder = make_ladder(
            min_epochs=self.min_epochs,
            max_epochs=self.max_epochs or self.trial_epochs,
            reduction_factor=self.reduction_factor,
        )
        num_candidates = self.num_candidates or self.reduction_factor**self._ladder.top
        self._places = tuple(
            max(num_candidates // self.reduction_factor**rung, 1) for rung in range(len(self._ladder.epochs))
        )
        self._tried: set[Architecture] = set()
        self._told: list[list[Trial]] = []
        self._begin_bracket()

    @property
    def rungs(self) -> tuple[tuple[int, int], ...]:
        """Places and epochs of every rung of a bracket, from the lowest."""
        return tuple(zip(self._places, self._ladder.epochs, strict=True))

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        for rung, told in enumerate(self._told):
            begun = [*told, *(trial for trial in pending if self._ladder.rung(trial) == rung)]
            if len(begun) < self._num_wanted(rung):
                return self._candidate(number, pending) if rung == 0 else self._promotion(rung, begun)
            if len(told) < len(begun):
                return None
        raise AssertionError("a bracket ends with the tell of its last trial")

    def start(self, architecture: Architecture) -> Proposal:
        """A new candidate, on the lowest rung."""
        return self._ladder.start(architecture)

    def tell(self, trial: Trial) -> None:
        assert trial.architecture is not None, "this method proposes architectures only"
        self._tried.add(trial.architecture)
        self._told[self._ladder.rung(trial)].append(trial)
        if all(len(told) >= self._num_wanted(rung) for rung, told in enumerate(self._told)):
            self._begin_bracket()

    def _begin_bracket(self) -> None:
        self._told = [[] for _ in self._places]

    def _num_wanted(self, rung: int) -> int:
        """Trials of a rung, once the one below is complete."""
        return self._places[0] if rung == 0 else len(self._promoted(rung))

    def _promoted(self, rung: int) -> list[Trial]:
        """The best of the rung below, best first."""
        return sorted(filter(may_go_on, self._told[rung - 1]), key=rank)[: self._places[rung]]

    def _candidate(self, number: int, pending: Sequence[Trial]) -> Proposal:
        tried = self._tried.union(trial.architecture for trial in pending if trial.architecture is not None)
        rng = np.random.default_rng((self.seed, number))
        return self.start(SAMPLERS[self.sampler](self.space, rng, tried))

    def _promotion(self, rung: int, begun: Sequence[Trial]) -> Proposal:
        gone_on = {trial.proposal.parent for trial in begun}
        return self._ladder.promote(next(one for one in self._promoted(rung) if one.number not in gone_on))
