"""Which method did how well: a summary of every method, and its comparison with a baseline.

Two scores, never mixed. *Delivered* is the test accuracy of the model that a run holds when its budget is spent.
*Retrained* is that of its architecture after the final protocol, which is the same for every run.

Several studies are compared task by task: their runs share no scale, but a method that is better on every task is
better. P values are corrected for the number of methods, intervals are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from nas.merging import common_labels, numbered, with_tasks
from nas.records import Phase
from nas.score_columns import score_columns
from nas.scores import ByTask, Score, by_task, compare_scores
from nas.statistics.equivalence import MARGIN
from nas.statistics.profiles import DISTANCES, profiles
from nas.statistics.significance import fewest_pairs
from search_spaces.errors import InvalidInput

DEFAULT_BASELINE = "grid"
SCORES = ("delivered", "retrained")


@dataclass(frozen=True, kw_only=True)
class MethodSummary:
    """All runs of one label."""

    label: str
    num_runs: int
    num_failed: int
    num_unfinished: int
    scores: Mapping[str, Score]
    """By the names in `SCORES`."""
    profiles: Mapping[str, tuple[float, ...]]
    """By the names in `SCORES`: share of runs within each of `DISTANCES` of the best method of their task."""
    depth: float | None
    """Mean over the runs that have chosen, as is `inference_flops`."""
    min_depth: int | None
    max_depth: int | None
    inference_flops: float | None
    """FLOPs of the forward pass of one input."""
    spent_share: float
    """Mean part of the budget."""
    endings: Mapping[str, int]
    """How many runs ended their search for which reason, most frequent first."""

    @property
    def ended(self) -> str:
        """`2 budget spent, 1 all 12 grid points are trained`."""
        return ", ".join(f"{count} {reason}" for reason, count in self.endings.items())


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The outcome of one study, or of several."""

    studies: tuple[str, ...]
    tasks: tuple[str, ...]
    """One for each study, but studies that differ in their seeds only share theirs."""
    baseline: str
    margin: float
    """What difference of accuracies is too small to matter."""
    methods: tuple[MethodSummary, ...]
    """In the order of the study file."""
    notes: tuple[str, ...] = ()
    """What the figures leave out, and what they cannot show."""

    @property
    def study(self) -> str:
        """Its name, or all their names."""
        return ", ".join(self.studies)

    @property
    def scored(self) -> tuple[str, ...]:
        """The scores that some method has, such as *retrained* alone for a table; all while there is none."""
        known = tuple(name for name in SCORES if any(method.scores[name].num for method in self.methods))
        return known or SCORES

    def frame(self) -> pd.DataFrame:
        """One row per label; accuracies and probabilities in [0, 1]."""
        return pd.DataFrame([_row(method) for method in self.methods])


def compare(runs: pd.DataFrame, baseline: str | None = None, *, margin: float = MARGIN) -> Comparison:
    """Summarise the runs of one study, or of several.

    Args:
        runs: one row per run, as the view `v_compare` gives; those of several studies one below the other. A column
            `task` says which studies have one task, `root_seed` which their root seeds are; without them, every study
            has a task of its own.
        baseline: a label; default: `grid` if there is one, else the first.
        margin: the difference of accuracies that is too small to matter.

    Raises:
        InvalidInput: there are no runs, the studies have no method in common or a run twice, no such baseline.
    """
    if not 0 < margin <= 1:
        raise InvalidInput(f"must be above 0 and at most 1, got {margin:g}", field="margin")
    runs = with_tasks(runs)
    labels, notes = common_labels(runs)
    if baseline is None:
        baseline = DEFAULT_BASELINE if DEFAULT_BASELINE in labels else labels[0]
    if baseline not in labels:
        raise InvalidInput(f"must be one of {', '.join(labels)}, got {baseline!r}", field="baseline")
    runs_by_label = {label: runs[runs["label"] == label] for label in labels}
    results = {
        name: {label: by_task(of_one, f"{name}_test_accuracy") for label, of_one in runs_by_label.items()}
        for name in SCORES
    }
    scores = {name: compare_scores(results[name], baseline, margin) for name in SCORES}
    curves = {name: _profiles(results[name]) for name in SCORES}
    methods = tuple(
        _summarise(
            label,
            of_one,
            {name: scores[name][label] for name in SCORES},
            {name: curves[name][label] for name in SCORES if label in curves[name]},
        )
        for label, of_one in runs_by_label.items()
    )
    return Comparison(
        studies=tuple(runs["study"].unique()),
        tasks=tuple(runs["task"].unique()),
        baseline=baseline,
        margin=margin,
        methods=methods,
        notes=(*notes, *_missing(results), *_out_of_reach(scores)),
    )


def _summarise(
    label: str, runs: pd.DataFrame, scores: Mapping[str, Score], curves: Mapping[str, tuple[float, ...]]
) -> MethodSummary:
    depths, sizes = runs["depth"].dropna(), runs["inference_flops"].dropna()
    ended = runs.loc[runs["stop_reason"] != "", "stop_reason"]
    return MethodSummary(
        label=label,
        num_runs=len(runs),
        num_failed=int((runs["phase"] == Phase.FAILED).sum()),
        num_unfinished=int((~runs["phase"].isin([Phase.DONE, Phase.FAILED])).sum()),
        scores=scores,
        profiles=curves,
        depth=float(depths.mean()) if len(depths) else None,
        min_depth=int(depths.min()) if len(depths) else None,
        max_depth=int(depths.max()) if len(depths) else None,
        inference_flops=float(sizes.mean()) if len(sizes) else None,
        spent_share=float(runs["spent_fraction"].mean()),
        endings=dict(Counter(without_figures(reason) for reason in ended).most_common()),
    )


def _profiles(results: Mapping[str, ByTask]) -> dict[str, tuple[float, ...]]:
    numbers = {
        label: {task: list(values.values()) for task, values in scores.items()} for label, scores in results.items()
    }
    return {label: tuple(curve) for label, curve in profiles(numbers, DISTANCES).items() if numbers[label]}


def _missing(results: Mapping[str, Mapping[str, ByTask]]) -> Iterator[str]:
    """Means over different tasks cannot be compared."""
    for name, by_label in results.items():
        tasks = dict.fromkeys(task for scores in by_label.values() for task in scores)
        for label, scores in by_label.items():
            absent = [task for task in tasks if task not in scores]
            if scores and absent:
                yield f"no {name} score on {', '.join(absent)}: {label}, whose means are over the other tasks"


def _out_of_reach(scores: Mapping[str, Mapping[str, Score]]) -> Iterator[str]:
    """With few seeds, nothing survives the correction for many methods."""
    tested = [score for score in scores["delivered"].values() if score.p is not None]
    most, needed = max((score.num_pairs for score in tested), default=0), fewest_pairs(len(tested) or 1)
    if tested and most < needed:
        yield (
            f"with {numbered(most, 'pair')} and {numbered(len(tested), 'method')} to test against the baseline, no "
            f"difference can be significant; {needed} pairs could show one"
        )


def without_figures(reason: str) -> str:
    """What runs that end for one reason have in common: the details follow a colon."""
    return reason.partition(":")[0]


def _row(method: MethodSummary) -> dict[str, object]:
    row: dict[str, object] = {
        "label": method.label,
        "num_runs": method.num_runs,
        "num_failed": method.num_failed,
        "num_unfinished": method.num_unfinished,
    }
    for name, score in method.scores.items():
        row |= {f"num_{name}": score.num, **score_columns(f"{name}_", f"{name}_test_accuracy", score)}
    return row | {
        "depth": method.depth,
        "min_depth": method.min_depth,
        "max_depth": method.max_depth,
        "inference_flops": method.inference_flops,
        "spent_share": method.spent_share,
        "endings": method.ended,
    }
