"""The best network under a cap: what every run has found that needs no more than so many FLOPs per input.

A network whose depth depends on the input counts at each of its settings, with its mean FLOPs (`nas.settings`).

Of each run the completed network with the highest validation accuracy counts, and that accuracy is its score. It is
never a test accuracy: test data is read once per run, for the one network that the run delivers. Being the highest of
several, it is too high, the more so the more networks a run has tried under the cap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from controllers.trial import Kind, Status
from nas.comparison import Comparison
from nas.merging import with_tasks
from nas.scores import Score, by_task, compare_scores
from nas.settings import with_settings

TRIAL_COLUMNS = (
    "run",
    "number",
    "kind",
    "status",
    "finish_order",
    "depth",
    "inference_flops",
    "val_accuracy",
)
"""Of the table `trials`."""


@dataclass(frozen=True, kw_only=True)
class Capped:
    """One method under a cap."""

    score: Score
    """The highest validation accuracy, compared with the baseline's."""
    depth: float | None
    """Mean over the runs that have a network under the cap, as is `inference_flops`."""
    inference_flops: float | None


@dataclass(frozen=True, kw_only=True)
class Cap:
    """All methods under a cap."""

    flops: float
    """Of the forward pass of one input."""
    methods: Mapping[str, Capped]
    """By label."""


def under_caps(
    runs: pd.DataFrame, trials: pd.DataFrame, points: pd.DataFrame, comparison: Comparison, caps: Sequence[float]
) -> tuple[Cap, ...]:
    """The methods of a comparison under each cap.

    Args:
        runs: those that were compared.
        trials: `study` and `TRIAL_COLUMNS` of all their trials.
        points: `study` and `POINT_COLUMNS` of their operating points.
        comparison: of these runs.
        caps: in FLOPs per input.
    """
    runs, trials = with_tasks(runs), with_settings(trials, points)
    is_found = (trials["status"] == Status.COMPLETE) & ~trials["kind"].isin([Kind.RELAXATION, Kind.FINAL])
    found = trials[is_found].dropna(subset=["val_accuracy", "inference_flops"])
    found = found.sort_values(["val_accuracy", "finish_order"], ascending=[False, True])  # of equals, the first
    return tuple(_under_cap(runs, found[found["inference_flops"] <= cap], comparison, cap) for cap in caps)


def _under_cap(runs: pd.DataFrame, found: pd.DataFrame, comparison: Comparison, cap: float) -> Cap:
    best = found.drop_duplicates(["study", "run"])[["study", "run", "val_accuracy", "depth", "inference_flops"]]
    chosen = runs.drop(columns=["depth", "inference_flops"]).merge(best, on=["study", "run"], how="left")
    of_label = {method.label: chosen[chosen["label"] == method.label] for method in comparison.methods}
    scores = compare_scores(
        {label: by_task(of_one, "val_accuracy") for label, of_one in of_label.items()},
        comparison.baseline,
        comparison.margin,
    )
    methods = {
        label: Capped(
            score=scores[label], depth=_mean(of_one["depth"]), inference_flops=_mean(of_one["inference_flops"])
        )
        for label, of_one in of_label.items()
    }
    return Cap(flops=cap, methods=methods)


def _mean(values: pd.Series) -> float | None:
    return float(values.mean()) if values.notna().any() else None
