"""Anytime curves: how good the best network so far is at given shares of the budget, and how the methods rank there.

By validation accuracy, which is what a run knows of itself before its end. A run without any network at a share is in
no mean there, so a method that starts with a supernet has fewer runs on the left than on the right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from nas.comparison import Comparison
from nas.merging import with_tasks
from nas.scores import Score, by_task, compare_scores
from nas.statistics.ranks import kendall_tau, ranks

DEFAULT_SHARES = (0.25, 0.5, 0.75, 1.0)
CURVE_COLUMNS = ("run", "spent", "best_val_accuracy")
"""Of the view `v_incumbent`."""
ROUNDING = 1e-9
"""A share of a budget is a float, what was spent is exact."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """All methods when each of their runs has spent this share of its budget."""

    share: float
    scores: Mapping[str, Score]
    """By label: the best validation accuracy so far, compared with the baseline's."""
    ranks: Mapping[str, float]
    """By label: 1 for the highest mean; equal means share theirs, methods that have nothing yet the last."""
    tau: float | None
    """Kendall's tau-b of these ranks and those at the end; None where all ranks are equal."""


def moments(
    runs: pd.DataFrame, curve: pd.DataFrame, comparison: Comparison, shares: Sequence[float] = DEFAULT_SHARES
) -> tuple[Moment, ...]:
    """The methods of a comparison at shares of the budget.

    Args:
        runs: those that were compared.
        curve: `study` and `CURVE_COLUMNS` of the same studies.
        comparison: of these runs.
        shares: above 0, at most 1.
    """
    labels = [method.label for method in comparison.methods]
    runs = with_tasks(runs)
    points = curve.dropna(subset=["best_val_accuracy"]).merge(runs[["study", "run", "budget"]], on=["study", "run"])
    reached = points["spent"] / points["budget"]

    def scores(share: float) -> dict[str, Score]:
        best = points[reached <= share * (1 + ROUNDING)].groupby(["study", "run"])["best_val_accuracy"].max()
        now = runs.join(best, on=["study", "run"])
        methods = {label: by_task(now[now["label"] == label], "best_val_accuracy") for label in labels}
        return compare_scores(methods, comparison.baseline, comparison.margin)

    by_share = {share: scores(share) for share in {*shares, 1.0}}
    final = _ranks(by_share[1.0])
    made = []
    for share in shares:
        now = _ranks(by_share[share])
        tau = kendall_tau(list(now.values()), list(final.values()))
        made.append(Moment(share=share, scores=by_share[share], ranks=now, tau=tau))
    return tuple(made)


def _ranks(scores: Mapping[str, Score]) -> dict[str, float]:
    means = [None if score.accuracy is None else score.accuracy.value for score in scores.values()]
    return dict(zip(scores, ranks(means), strict=True))
