"""Local search over one-decision neighbourhoods (White et al., UAI 2021, arXiv 2005.02960, algorithm 1).

What differs from the paper: by default a climb moves to the first improvement (the paper's "query until lower" variant)
instead of the best neighbour; a local optimum starts the next climb instead of ending the search; networks that are
known already are moved to without being tried again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.seeds import derive_seed
from controllers.trial import Proposal, Trial
from search_spaces.architecture import Architecture
from search_spaces.compose import neighbours, sample
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

MAX_DRAWS = 100
"""After so many random networks that were all tried already, the last is proposed all the same."""
CLIMB = "climb"
"""Note on a proposal: which climb it belongs to."""


class Move(StrEnum):
    """When a climb moves on."""

    FIRST = "first"
    """As soon as a neighbour is better."""
    BEST = "best"
    """To the best neighbour, once all are tried."""


@dataclass(kw_only=True, config=CONFIG)
class LocalSearch:
    """Tries the neighbours of the incumbent in a random order; at a local optimum it starts anew from a random network.

    A neighbour has one decision answered differently. What comes into being through that is drawn once for every
    incumbent, so that a neighbourhood is finite. While the last neighbours are pending, the next climb's random
    networks are tried. FAILED trials count as tried, PRUNED ones by the score they reached.
    """

    space: SearchSpace = Field(repr=False)
    seed: int
    move: Move = Move.FIRST
    """`first`: to the first better neighbour; `best`: to the best neighbour, once all are tried."""
    num_starts: int = Field(default=1, ge=1)
    """Random networks of every climb, the best of which becomes the first incumbent."""

    def __post_init__(self) -> None:
        self._scores: dict[Architecture, float] = {}
        self._climb = 0
        self._starts: dict[int, list[Architecture]] = defaultdict(list)
        self._incumbent: Architecture | None = None
        self._neighbours: tuple[Architecture, ...] = ()

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        rng = np.random.default_rng((self.seed, number))
        tried = self._scores.keys() | {trial.architecture for trial in pending}
        untried = [neighbour for neighbour in self._neighbours if neighbour not in tried]
        if untried:
            return Proposal(architecture=untried[rng.integers(len(untried))], notes={CLIMB: self._climb})
        for _ in range(MAX_DRAWS):
            start = sample(self.space, rng)
            if start not in tried:
                break
        return Proposal(architecture=start, notes={CLIMB: self._climb + (self._incumbent is not None)})

    def tell(self, trial: Trial) -> None:
        architecture = trial.architecture
        assert architecture is not None, "this method proposes architectures only"
        self._scores[architecture] = -math.inf if trial.score is None else trial.score
        climb = trial.proposal.notes.get(CLIMB, self._climb)
        if trial.score is not None and (climb > self._climb or self._incumbent is None):
            self._starts[climb].append(architecture)
        elif climb == self._climb and architecture not in self._neighbours and self._is_better(architecture):
            self._go_to(architecture)  # asked for next to an earlier incumbent
        while self._advances():
            pass

    def _advances(self) -> bool:
        """Take one step that what is known allows; false if there is none."""
        if self._incumbent is None:
            starts = self._starts[self._climb]
            if len(starts) < self.num_starts:
                return False
            self._go_to(max(starts, key=self._scores.__getitem__))
            return True
        known = [neighbour for neighbour in self._neighbours if neighbour in self._scores]
        are_all_known = len(known) == len(self._neighbours)
        better = [neighbour for neighbour in known if self._is_better(neighbour)]
        if better and (are_all_known or self.move is Move.FIRST):
            self._go_to(max(better, key=self._scores.__getitem__))
        elif are_all_known:
            self._climb += 1
            self._incumbent, self._neighbours = None, ()
        else:
            return False
        return True

    def _is_better(self, architecture: Architecture) -> bool:
        return self._incumbent is not None and self._scores[architecture] > self._scores[self._incumbent]

    def _go_to(self, architecture: Architecture) -> None:
        rng = np.random.default_rng(derive_seed(self.seed, architecture.id))
        self._incumbent = architecture
        self._neighbours = neighbours(self.space, architecture, rng)
