"""How the weights of the levels moved during training: the mean over the runs of a method, epoch by epoch.

Shapes: E epochs, L levels, R rows and C columns of a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.depth.answers import POSTERIORS, Supernet, is_share

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class WeightMap:
    """One method."""

    label: str
    num_runs: int
    weight_EL: Array
    """Mean over the runs that were trained for so many epochs; NaN where a level did not exist yet."""
    meaning: str
    """Of a weight: `weight`, `probability` or `share`."""
    chosen_depth: float | None
    """Mean over the runs that chose one."""
    best_depth: int | None
    """D3, that of the best ordinary training."""

    @property
    def num_epochs(self) -> int:
        """Of the longest run."""
        return len(self.weight_EL)

    @property
    def num_levels(self) -> int:
        """Level 0 included."""
        return int(self.weight_EL.shape[1])

    @property
    def greatest(self) -> float:
        """Size of the weight that is shown in the fullest colour."""
        return float(np.nanmax(np.abs(self.weight_EL)))


def weight_maps(levels: pd.DataFrame, supernets: Sequence[Supernet], best_depth: int | None) -> Iterator[WeightMap]:
    """One for each method.

    Args:
        levels: rows of the view `v_depth` of one study.
        supernets: of the same study.
        best_depth: D3.
    """
    for label in dict.fromkeys(supernet.label for supernet in supernets):
        own = [supernet for supernet in supernets if supernet.label == label]
        trials = {(supernet.run, supernet.number) for supernet in own}
        is_own = [key in trials for key in zip(levels["run"], levels["number"], strict=True)]
        weight = levels[is_own].pivot_table("weight", index="epoch", columns="level", aggfunc="mean")
        epochs, depths = range(1, int(weight.index.max()) + 1), range(int(weight.columns.max()) + 1)
        chosen = [supernet.chosen_depth for supernet in own if supernet.chosen_depth is not None]
        yield WeightMap(
            label=label,
            num_runs=len(own),
            weight_EL=weight.reindex(index=epochs, columns=depths).to_numpy(dtype=np.float64),
            meaning=_meaning({supernet.relaxation for supernet in own}),
            chosen_depth=fmean(chosen) if chosen else None,
            best_depth=best_depth,
        )


def _meaning(relaxations: set[str]) -> str:
    if relaxations <= POSTERIORS:
        return "probability"
    return "share" if all(map(is_share, relaxations)) else "weight"


def shrunk(x_NM: Array, num: int) -> Array:
    """At most so many rows, each the mean of equally many neighbours; NaN where all of them are."""
    return np.stack([_mean(x_NM[neighbours]) for neighbours in stretches(len(x_NM), num)])


def stretches(length: int, num: int) -> list[slice]:
    """At most `num` stretches of equal length, but for the last."""
    step = -(-length // num)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def _mean(x_NM: Array) -> Array:
    """Over the first axis, of what is there."""
    is_there = ~np.isnan(x_NM)
    count_M = is_there.sum(axis=0)
    sum_M = np.where(is_there, x_NM, 0.0).sum(axis=0)
    return np.where(count_M > 0, sum_M / np.maximum(count_M, 1), np.nan)
