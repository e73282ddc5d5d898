"""A score as columns of a flat row: every statistic with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nas.scores import Score
from nas.statistics.estimate import Estimate


def score_columns(prefix: str, accuracy: str, score: Score) -> dict[str, object]:
    """Names and values; None where there is no value.

    Args:
        prefix: of all names but that of the mean.
        accuracy: what the mean is called.
        score: its values.
    """
    columns: dict[str, object] = {}
    estimates = {
        accuracy: score.accuracy,
        f"{prefix}iqm": score.iqm,
        f"{prefix}probability_of_improvement": score.improvement,
        f"{prefix}difference": score.difference,
    }
    for name, estimate in estimates.items():
        columns |= _interval(name, estimate)
    return columns | {
        f"{prefix}num_pairs": score.num_pairs,
        f"{prefix}p_wilcoxon": score.p,
        f"{prefix}p_wilcoxon_holm": score.p_holm,
        **{f"{prefix}{name}": p for name, p in _margin_tests(score)},
        f"{prefix}conclusion": score.conclusion,
    }


def _margin_tests(score: Score) -> Iterator[tuple[str, float | None]]:
    for suffix, test in (("", score.equivalence), ("_holm", score.equivalence_holm)):
        for name in ("no_worse", "no_better", "equivalent"):
            yield f"p_{name}{suffix}", None if test is None else getattr(test, name)


def _interval(name: str, estimate: Estimate | None) -> Mapping[str, float | None]:
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
