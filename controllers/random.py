"""Random search: every decision uniform, every proposal independent (Bergstra & Bengio, JMLR 2012)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.trial import Proposal, Trial
from search_spaces.compose import sample
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class Random:
    """Samples with replacement; the ledger answers repeats at no cost."""

    space: SearchSpace = Field(repr=False)
    seed: int

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        return Proposal(architecture=sample(self.space, np.random.default_rng((self.seed, number))))

    def tell(self, trial: Trial) -> None:
        pass
