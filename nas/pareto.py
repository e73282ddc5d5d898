"""Pareto fronts and their hypervolume. Less is better in every column: negate what is maximised.

The hypervolume (Zitzler & Thiele, IEEE TEVC 1999) is exact, by slicing objectives (Knowles, 2002): between two values
of the last objective lies a slab, whose base is what the points up to there dominate in the others.

Shapes: N points, D objectives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def on_front(points_ND: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points no other point dominates, `[N]`. Equal points do not dominate each other."""
    is_on_front_N = np.zeros(len(points_ND), dtype=np.bool_)
    front: list[NDArray[np.float64]] = []
    for index in np.lexsort(points_ND.T[::-1]):  # a point comes after all that dominate it
        point_D = points_ND[index]
        is_on_front_N[index] = not any((other <= point_D).all() and (other < point_D).any() for other in front)
        if is_on_front_N[index]:
            front.append(point_D)
    return is_on_front_N


def hypervolume(points_ND: NDArray[np.float64], reference_D: NDArray[np.float64]) -> float:
    """Volume of what the points dominate, up to the reference. A point that is not better than it adds nothing."""
    points_ND = points_ND[(points_ND < reference_D).all(axis=1)]
    points_ND = points_ND[np.argsort(points_ND[:, -1], kind="stable")]
    if reference_D.size == 1:
        return float(reference_D[0] - points_ND[0, 0]) if len(points_ND) else 0.0
    heights_N = np.diff(points_ND[:, -1], append=reference_D[-1])
    if reference_D.size == 2:
        return float(heights_N @ (reference_D[0] - np.minimum.accumulate(points_ND[:, 0])))
    slabs = (
        height * hypervolume(points_ND[: index + 1, :-1], reference_D[:-1])
        for index, height in enumerate(heights_N)
        if height > 0
    )
    return float(sum(slabs))
