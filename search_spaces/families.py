"""The registry of search spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.chain_families import CHAINS
from search_spaces.dynamic_space import FAMILY as DYNAMIC
from search_spaces.dynamic_space import DynamicSpace
from search_spaces.from_options import space_from
from search_spaces.multiscale import Multiscale
from search_spaces.space import SearchSpace
from search_spaces.tabular import FAMILY as TABULAR
from search_spaces.tabular import Tabular

SPACES: dict[str, type[SearchSpace]] = {**CHAINS, DYNAMIC: DynamicSpace, "multiscale": Multiscale, TABULAR: Tabular}
"""Search spaces by the name that a study file uses. Adding one is one file and one line, here or in `CHAINS`."""


def make_space(
    options: Mapping[str, Any], *, input_shape: tuple[int, ...], num_classes: int, num_tokens: int = 0
) -> SearchSpace:
    """The space that the mapping `{family: NAME, **fields}` describes, for inputs of one shape.

    Raises:
        InvalidInput: as `space_from`.
    """
    return space_from(options, SPACES, input_shape=input_shape, num_classes=num_classes, num_tokens=num_tokens)
