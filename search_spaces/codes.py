"""Architectures as numbers for a model: equal networks have equal codes.

A one-hot column for every answer of every decision, absent decisions all zero, and side information that is known
without training. Shapes: N architectures, C columns, S sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture, Option
from search_spaces.footprint import footprint
from search_spaces.space import SearchSpace

Floats = NDArray[np.float64]


class Coder:
    """Codes of the architectures of one space. Columns are added as answers are met; earlier codes stay a prefix."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._columns: dict[tuple[str, Option], int] = {}
        self._codes: dict[str, tuple[list[int], list[float], list[float]]] = {}

    def answers(self, architectures: Sequence[Architecture]) -> Floats:
        """One-hot codes `[N, C]` of the answers."""
        columns = [self._code(one)[0] for one in architectures]
        codes_NC = np.zeros((len(architectures), len(self._columns)))
        for row, of_one in enumerate(columns):
            codes_NC[row, of_one] = 1.0
        return codes_NC

    def sizes(self, architectures: Sequence[Architecture]) -> Floats:
        """Depth, and the logarithms of FLOPs and parameters where the space knows them: `[N, S]`."""
        return np.array([self._code(one)[1] for one in architectures])

    def shortest_paths(self, architectures: Sequence[Architecture]) -> Floats:
        """Lengths of the shortest ways from input to output, `[N, 1]`; `[N, 0]` where the space does not know them.

        Depth is the longest way. Whether there is a short one beside it decides whether a deep network trains well.
        """
        return np.array([self._code(one)[2] for one in architectures]).reshape(len(architectures), -1)

    def _code(self, architecture: Architecture) -> tuple[list[int], list[float], list[float]]:
        code = self._codes.get(architecture.id)
        if code is None:
            decisions = canonical_decisions(self.space, architecture)
            columns = [self._columns.setdefault(answer, len(self._columns)) for answer in decisions.items()]
            known = footprint(self.space, architecture)
            amounts = [amount for amount in (known.inference_flops, known.num_parameters) if amount is not None]
            sizes = [float(architecture.depth), *(float(np.log(max(amount, 1))) for amount in amounts)]
            path = shortest_path(self.space, architecture)
            code = self._codes[architecture.id] = columns, sizes, [] if path is None else [float(path)]
        return code


def canonical_decisions(space: SearchSpace, architecture: Architecture) -> Mapping[str, Option]:
    """The decisions of an architecture, the same for equal networks if the space has a method that says so."""
    method = getattr(space, "canonical_decisions", None)
    decisions: Mapping[str, Option] = architecture.decisions if method is None else method(architecture)
    return decisions


def shortest_path(space: SearchSpace, architecture: Architecture) -> int | None:
    """Operations other than the identity on the shortest way from input to output, if the space has a method for it."""
    method: Callable[[Architecture], int | None] | None = getattr(space, "shortest_path", None)
    return None if method is None else method(architecture)
