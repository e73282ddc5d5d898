"""Cut one data set into fixed training, validation and test splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import InvalidInput


def split_indices(y: NDArray[Any], sizes: Mapping[str, int], *, seed: int) -> dict[str, NDArray[np.intp]]:
    """Disjoint random subsets with the asked sizes, classes in the proportions of `y` (stratified).

    Examples are ranked inside their class in random order; all examples are then ordered by relative rank, which
    interleaves the classes evenly, and cut into consecutive pieces.

    Raises:
        InvalidInput: a size is below 1, or together they are more than there is; the field is `NAME_size`.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InvalidInput(f"must be at least 1, got {size}", field=f"{name}_size")
    if sum(sizes.values()) > len(y):
        asked = " + ".join(str(size) for size in sizes.values())
        raise InvalidInput(
            f"splits must fit into the {len(y)} examples, got {asked}", field=f"{next(iter(sizes))}_size"
        )
    rng = np.random.default_rng(seed)
    position = np.empty(len(y))
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        ranks = (np.arange(len(members)) + rng.random()) / len(members)
        position[rng.permutation(members)] = ranks
    ordered = np.argsort(position, kind="stable")
    ends = np.cumsum(list(sizes.values()))
    pieces = np.split(ordered[: ends[-1]], ends[:-1])
    return dict(zip(sizes, pieces, strict=True))
