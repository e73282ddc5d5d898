"""One score of several methods: where it lies, and how each method stands against the baseline.

Whatever is compared comes here: test accuracies, the best of a run so far, the best under a cap. Runs are paired by
task and seed, so that what a seed brings with it (initial weights, order of the data) cancels out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from nas.statistics.bootstrap import Strata, interquartile_mean, mean
from nas.statistics.equivalence import Equivalence, holm_equivalence, paired_equivalence
from nas.statistics.estimate import Estimate
from nas.statistics.improvement import probability_of_improvement
from nas.statistics.significance import fewest_pairs, holm, signed_rank_p

Pair = tuple[int, int]
"""Root seed of the study and seed of the run: equal for runs that share their random streams."""
ByTask = Mapping[str, Mapping[Pair, float]]
"""Scores of one method; a task without any is missing."""

FEW = "few"
DIFFERENCES = (-1.0, 1.0)
"""Bounds of a difference of accuracies."""
MIN_PAIRS = fewest_pairs()
"""With fewer, the signs of the differences agree by chance too often for any claim."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One accuracy of a method, in [0, 1]."""

    num: int
    """Runs that have it."""
    accuracy: Estimate | None = None
    """Mean over seeds; over the means of the tasks if there are several."""
    iqm: Estimate | None = None
    """Interquartile mean over all runs."""
    improvement: Estimate | None = None
    """Probability that a run of the method beats a run of the baseline."""
    difference: Estimate | None = None
    """Mean over the seeds that both have: the method's accuracy minus the baseline's."""
    num_pairs: int = 0
    """How many seeds these are, summed over tasks."""
    p: float | None = None
    """Of Wilcoxon's signed-rank test of the differences."""
    p_holm: float | None = None
    """The same, corrected for the number of methods."""
    equivalence: Equivalence | None = None
    """Tests of the differences against the margin."""
    equivalence_holm: Equivalence | None = None
    """The same, corrected for the number of methods."""

    @property
    def conclusion(self) -> str | None:
        """What may be claimed about the margin; `few` if there are too few pairs for any claim."""
        if self.num_pairs == 0:
            return None
        if self.num_pairs < MIN_PAIRS or self.equivalence_holm is None:
            return FEW
        return self.equivalence_holm.conclusion


def by_task(runs: pd.DataFrame, column: str) -> dict[str, dict[Pair, float]]:
    """The scores of one method's runs.

    Args:
        runs: with `task`, `root_seed` and `seed`.
        column: the score; runs that lack it are left out.
    """
    scored = runs[["task", "root_seed", "seed", column]].dropna(subset=[column])
    scores: dict[str, dict[Pair, float]] = {}
    for task, root, seed, value in zip(*(scored[name].tolist() for name in scored.columns), strict=True):
        scores.setdefault(task, {})[root, seed] = value
    return scores


def compare_scores(methods: Mapping[str, ByTask], baseline: str, margin: float) -> dict[str, Score]:
    """The score of every method, and its difference from the baseline's.

    Args:
        methods: by label.
        baseline: one of the labels.
        margin: what difference is too small to matter.
    """
    theirs = methods[baseline]
    scores = {
        label: _score(own, {} if label == baseline else theirs, margin) if own else Score(num=0)
        for label, own in methods.items()
    }
    return _corrected(scores)


def _score(own: ByTask, theirs: ByTask, margin: float) -> Score:
    values = _strata(own)
    score = Score(num=sum(map(len, values)), accuracy=mean(values), iqm=interquartile_mean(values))
    shared = [task for task in own if task in theirs]
    if not shared:
        return score
    improvement = probability_of_improvement(
        _strata({task: own[task] for task in shared}), _strata({task: theirs[task] for task in shared})
    )
    differences = [
        [own[task][pair] - theirs[task][pair] for pair in own[task] if pair in theirs[task]] for task in shared
    ]
    differences = [of_task for of_task in differences if of_task]
    if not differences:
        return replace(score, improvement=improvement)
    return replace(
        score,
        improvement=improvement,
        difference=mean(differences, bounds=DIFFERENCES),
        num_pairs=sum(map(len, differences)),
        p=signed_rank_p([difference for of_task in differences for difference in of_task]),
        equivalence=paired_equivalence(differences, margin),
    )


def _strata(scores: ByTask) -> Strata:
    return [list(of_task.values()) for of_task in scores.values()]


def _corrected(scores: Mapping[str, Score]) -> dict[str, Score]:
    tested = {label: score.p for label, score in scores.items() if score.p is not None}
    p_holm = dict(zip(tested, holm(list(tested.values())), strict=True))
    margins = {label: score.equivalence for label, score in scores.items() if score.equivalence is not None}
    margins_holm = dict(zip(margins, holm_equivalence(list(margins.values())), strict=True))
    return {
        label: replace(score, p_holm=p_holm.get(label), equivalence_holm=margins_holm.get(label))
        for label, score in scores.items()
    }
