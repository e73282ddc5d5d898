"""What a search space is: a function that asks questions, and a builder.

Everything else (sampling, mutation, crossover, enumeration, size, validation, encoding) is written once,
in `search_spaces.compose`, on top of these two methods. The idea is PyGlove's (Peng et al., NeurIPS 2020)
and Optuna's (Akiba et al., KDD 2019): define the space by running it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import nn

from search_spaces.architecture import Architecture, Option


class Choose(Protocol):
    """Answers one decision: returns one of `options`, which are distinct and in a meaningful order."""

    def __call__(self, name: str, options: Sequence[Option], /) -> Option: ...


@runtime_checkable
class SearchSpace(Protocol):
    """A set of architectures for inputs of one shape.

    A space that can read token ids has a field `num_tokens`, which is 0 where the inputs are numbers; what it builds
    answers `y_BTK`, at every token.

    A space may also have `allows(architecture) -> bool`, for limits that not all of its architectures keep to
    (`search_spaces.compose`); `footprint(architecture)`, the sizes that it knows without training
    (`search_spaces.footprint`); and, for models of its architectures (`search_spaces.codes`),
    `canonical_decisions(architecture)`, the same for equal networks, and `shortest_path(architecture) -> int | None`,
    the operations other than the identity between input and output along the shortest way, where it knows.
    """

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""

    @property
    def num_classes(self) -> int:
        """Width of the output."""

    def compose(self, choose: Choose) -> Architecture:
        """Ask `choose` for every decision that exists, and only for those.

        A block beyond the chosen depth is never asked for, so conditional spaces come for free. Names
        are unique within one call.
        """

    def build(self, architecture: Architecture) -> nn.Module:
        """The network with fresh weights, drawn from torch's current generator."""
