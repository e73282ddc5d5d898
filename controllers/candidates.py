"""Where the candidates come from that a search by fidelity compares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.compose import sample
from search_spaces.space import SearchSpace

MAX_DRAWS = 20
"""After so many draws that were all tried already, the last is proposed all the same."""

Sampler = Callable[[SearchSpace, np.random.Generator, Collection[Architecture]], Architecture]
"""From a space, a generator and what was tried to the next candidate."""


def draw(space: SearchSpace, rng: np.random.Generator, tried: Collection[Architecture]) -> Architecture:
    """Every decision uniform; drawn again if it was tried."""
    for _ in range(MAX_DRAWS):
        architecture = sample(space, rng)
        if architecture not in tried:
            break
    return architecture


SAMPLERS: Mapping[str, Sampler] = {"random": draw}
"""Samplers by the name that a study file uses."""
