"""Which method did how well: a summary of every method, and its comparison with a baseline.

Two scores, never mixed. *Delivered* is the test accuracy of the model that a run holds when its budget is spent.
*Retrained* is that of its architecture after the final protocol, which is the same for every run.

Intervals are not corrected for the number of methods: among twenty that are equal to the baseline, one will seem not
to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from nas.bootstrap import Estimate, mean, probability_of_improvement
from nas.records import Phase
from search_spaces.errors import InvalidInput

DEFAULT_BASELINE = "grid"
SCORES = ("delivered", "retrained")


@dataclass(frozen=True, kw_only=True)
class Score:
    """One of the two test accuracies of a method, in [0, 1]."""

    num: int
    """Runs that have it."""
    accuracy: Estimate | None = None
    """Mean over seeds."""
    improvement: Estimate | None = None
    """Probability that a run of the method beats a run of the baseline."""
    difference: Estimate | None = None
    """Mean over the seeds that both have: the method's accuracy minus the baseline's."""
    num_pairs: int = 0
    """How many seeds these are."""


@dataclass(frozen=True, kw_only=True)
class MethodSummary:
    """All runs of one label."""

    label: str
    num_runs: int
    num_failed: int
    num_unfinished: int
    scores: Mapping[str, Score]
    """By the names in `SCORES`."""
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
    """The outcome of a study."""

    study: str
    baseline: str
    methods: tuple[MethodSummary, ...]
    """In the order of the study file."""

    def frame(self) -> pd.DataFrame:
        """One row per label; accuracies and probabilities in [0, 1]."""
        return pd.DataFrame([_row(method) for method in self.methods])


def compare(runs: pd.DataFrame, baseline: str | None = None) -> Comparison:
    """Summarise the runs of one study.

    Args:
        runs: one row per run, as the view `v_compare` gives.
        baseline: a label; default: `grid` if there is one, else the first.

    Raises:
        InvalidInput: there are no runs, runs of several studies, or no such baseline.
    """
    studies = list(runs["study"].unique())
    if len(studies) != 1:
        raise InvalidInput(f"a comparison is of the runs of one study, got those of {len(studies)}")
    by_label = {str(label): of_one for label, of_one in runs.sort_values("run").groupby("label", sort=False)}
    labels = list(by_label)
    if baseline is None:
        baseline = DEFAULT_BASELINE if DEFAULT_BASELINE in by_label else labels[0]
    if baseline not in by_label:
        raise InvalidInput(f"must be one of {', '.join(labels)}, got {baseline!r}", field="baseline")
    methods = tuple(_summarise(label, by_label[label], by_label[baseline]) for label in labels)
    return Comparison(study=str(studies[0]), baseline=baseline, methods=methods)


def _summarise(label: str, runs: pd.DataFrame, baseline: pd.DataFrame) -> MethodSummary:
    against = None if runs is baseline else baseline
    depths, sizes = runs["depth"].dropna(), runs["inference_flops"].dropna()
    ended = runs.loc[runs["stop_reason"] != "", "stop_reason"]
    return MethodSummary(
        label=label,
        num_runs=len(runs),
        num_failed=int((runs["phase"] == Phase.FAILED).sum()),
        num_unfinished=int((~runs["phase"].isin([Phase.DONE, Phase.FAILED])).sum()),
        scores={name: _score(f"{name}_test_accuracy", runs, against) for name in SCORES},
        depth=float(depths.mean()) if len(depths) else None,
        min_depth=int(depths.min()) if len(depths) else None,
        max_depth=int(depths.max()) if len(depths) else None,
        inference_flops=float(sizes.mean()) if len(sizes) else None,
        spent_share=float(runs["spent_fraction"].mean()),
        endings=dict(Counter(without_figures(reason) for reason in ended).most_common()),
    )


def _score(column: str, runs: pd.DataFrame, baseline: pd.DataFrame | None) -> Score:
    own = _by_seed(column, runs)
    if not own:
        return Score(num=0)
    accuracy = mean(list(own.values()))
    theirs = {} if baseline is None else _by_seed(column, baseline)
    if not theirs:
        return Score(num=len(own), accuracy=accuracy)
    differences = [own[seed] - theirs[seed] for seed in own if seed in theirs]
    return Score(
        num=len(own),
        accuracy=accuracy,
        improvement=probability_of_improvement(list(own.values()), list(theirs.values())),
        difference=mean(differences) if differences else None,
        num_pairs=len(differences),
    )


def _by_seed(column: str, runs: pd.DataFrame) -> dict[int, float]:
    scored = runs[["seed", column]].dropna()
    return dict(zip(scored["seed"].astype(int), scored[column].astype(float), strict=True))


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
        row |= {f"num_{name}": score.num}
        row |= _columns(f"{name}_test_accuracy", score.accuracy)
        row |= _columns(f"{name}_probability_of_improvement", score.improvement)
        row |= _columns(f"{name}_difference", score.difference)
        row |= {f"{name}_num_pairs": score.num_pairs}
    return row | {
        "depth": method.depth,
        "min_depth": method.min_depth,
        "max_depth": method.max_depth,
        "inference_flops": method.inference_flops,
        "spent_share": method.spent_share,
        "endings": method.ended,
    }


def _columns(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    values: Mapping[str, float | None] = asdict(estimate) if estimate else dict.fromkeys(("value", "low", "high"))
    return {name: values["value"], f"{name}_low": values["low"], f"{name}_high": values["high"]}
