"""A comparison as rows for programs: one flat row for every line of every table but the first.

Accuracies and probabilities are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

from nas.anytime import Moment
from nas.caps import Cap
from nas.comparison import Comparison
from nas.score_columns import score_columns
from nas.statistics.profiles import DISTANCES

Rows = list[dict[str, object]]


def moment_rows(moments: Sequence[Moment]) -> Rows:
    """One row for each share of the budget and method."""
    return [
        {
            "share": moment.share,
            "label": label,
            "num": score.num,
            "rank": moment.ranks[label],
            **score_columns("", "val_accuracy", score),
        }
        for moment in moments
        for label, score in moment.scores.items()
    ]


def stability_rows(moments: Sequence[Moment]) -> Rows:
    """One row for each share of the budget."""
    return [{"share": moment.share, "kendall_tau": moment.tau, "ranks": dict(moment.ranks)} for moment in moments]


def cap_rows(caps: Sequence[Cap]) -> Rows:
    """One row for each cap and method."""
    return [
        {
            "cap_flops": cap.flops,
            "label": label,
            "num": capped.score.num,
            "depth": capped.depth,
            "inference_flops": capped.inference_flops,
            **score_columns("", "val_accuracy", capped.score),
        }
        for cap in caps
        for label, capped in cap.methods.items()
    ]


def profile_rows(comparison: Comparison) -> Rows:
    """One row for each score and method."""
    return [
        {
            "score": name,
            "label": method.label,
            "distances": list(DISTANCES),
            "shares": list(shares),
        }
        for method in comparison.methods
        for name, shares in method.profiles.items()
    ]
