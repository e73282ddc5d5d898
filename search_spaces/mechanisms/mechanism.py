"""What makes the depth of a chain depend on its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.chain_space import ChainSpace
from search_spaces.space import Choose


def has_skippable(chain: Architecture) -> bool:
    """Whether a chain of one stage has a block that keeps the shape: one that changes it cannot be skipped."""
    stride: int = chain.form["stages"][0]["stride"]
    return chain.depth > (stride > 1)


class Mechanism(Protocol):
    """A frozen dataclass whose fields are what a search may choose from; one option is no choice."""

    def check(self, space: ChainSpace) -> None:
        """Refuse chains of one stage that cannot have it, before anything is searched.

        Raises:
            InvalidInput: in the field whose option does not fit.
        """

    def compose(self, choose: Choose, prefix: str, space: ChainSpace, chain: Architecture) -> Mapping[str, Any] | None:
        """Ask for it, on top of a chain; names of decisions begin with `prefix`.

        Returns:
            its form in JSON types; None where it would change nothing, since the chain is too shallow.
        """

    def build(self, space: ChainSpace, chain: Architecture, form: Mapping[str, Any]) -> nn.Module:
        """The chain with it and fresh weights; `form` is what `compose` returned."""
