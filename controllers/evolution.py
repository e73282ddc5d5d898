"""Aging evolution (Real et al., AAAI 2019, arXiv 1802.01548, algorithm 1).

What differs from the paper: a child that was tried already is redrawn, a crossover may precede the mutation, and
the defaults suit budgets of a few hundred trials (the paper has a population of 100 and a tournament of 25).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.trial import Proposal, Trial
from search_spaces.architecture import Architecture
from search_spaces.compose import crossover, mutate, sample
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

MAX_DRAWS = 20
"""After so many children that were all tried already, the last is proposed all the same."""


@dataclass(kw_only=True, config=CONFIG)
class Evolution:
    """Mutates the winner of a tournament; in the population every newcomer replaces the oldest.

    The first `population` trials are random, and so are all others until one is told with a score. After that
    a tournament draws from whoever is in the population by then, so any number of trials may be pending. Age is
    the order of telling. A FAILED trial counts among the first `population`, but never enters the population.
    """

    space: SearchSpace = Field(repr=False)
    seed: int
    population: int = Field(default=20, ge=1)
    """Members; the first ones are random."""
    tournament: int = Field(default=5, ge=1)
    """Members drawn, with replacement; the best becomes the parent, the first drawn of equals."""
    redraw: bool = True
    """Whether a child that was tried already is drawn again; in the paper it is trained again."""
    crossover_probability: float = Field(default=0.0, ge=0, le=1)
    """Chance that the mutated parent is a uniform crossover of two winners instead of one winner."""

    def __post_init__(self) -> None:
        self._alive: deque[tuple[float, Architecture]] = deque(maxlen=self.population)
        self._told: set[Architecture] = set()
        self._num_told = 0

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        rng = np.random.default_rng((self.seed, number))
        is_warm_up = self._num_told + len(pending) < self.population or not self._alive
        for _ in range(MAX_DRAWS if self.redraw else 1):
            child = sample(self.space, rng) if is_warm_up else self._child(rng)
            if child not in self._told and all(child != trial.architecture for trial in pending):
                break
        return Proposal(architecture=child)

    def tell(self, trial: Trial) -> None:
        architecture = trial.architecture
        assert architecture is not None, "this method proposes architectures only"
        self._num_told += 1
        self._told.add(architecture)
        if trial.score is not None:
            self._alive.append((trial.score, architecture))

    def _child(self, rng: np.random.Generator) -> Architecture:
        parent = self._winner(rng)
        if rng.random() < self.crossover_probability:
            parent = crossover(self.space, parent, self._winner(rng), rng)
        return mutate(self.space, parent, rng)

    def _winner(self, rng: np.random.Generator) -> Architecture:
        entrants = [self._alive[i] for i in rng.integers(len(self._alive), size=self.tournament)]
        return max(entrants, key=lambda entrant: entrant[0])[1]
