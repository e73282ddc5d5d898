"""The answers as rows for programs. Accuracies, correlations and probabilities are as they are, not in percent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from nas.depth.answers import Answer
from nas.depth.study import DepthStudy
from nas.statistics.estimate import Estimate

Row = dict[str, Any]

ANSWER_COLUMNS = (
    *("study", "label", "answer", "num_runs", "depth", "min_depth", "max_depth", "distance"),
    *("spearman", "spearman_low", "spearman_high", "regret", "regret_low", "regret_high", "num_regrets"),
)


def document(one: DepthStudy) -> Row:
    """Everything about one study."""
    return {
        "study": one.study,
        "depths": list(one.allowed),
        "epochs": one.epochs,
        "best_trained_depth": one.trainings.best,
        "answers": list(answer_rows(one)),
        "pairs": [asdict(pair) for pair in one.pairs],
        "runs": list(run_rows(one)),
        "trainings": list(training_rows(one)),
        "notes": list(one.notes),
    }


def answer_rows(one: DepthStudy) -> Iterator[Row]:
    """One row for each method and answer, `ANSWER_COLUMNS`; the first is D3, which belongs to no method."""
    nothing: Row = dict.fromkeys(ANSWER_COLUMNS)
    best, tied = one.trainings.best, one.trainings.tied
    if best is not None:
        yield nothing | {
            "study": one.study,
            "answer": Answer.TRAINING,
            "num_runs": len(one.trainings.depths[best].by_seed),
            "depth": best,
            "min_depth": min(tied),
            "max_depth": max(tied),
            "distance": 0,
        }
    for agreement in one.agreements:
        row = {"study": one.study, **asdict(agreement)}
        row |= _interval("spearman", agreement.spearman) | _interval("regret", agreement.regret)
        yield {name: row[name] for name in ANSWER_COLUMNS}


def run_rows(one: DepthStudy) -> Iterator[Row]:
    """One row for each supernet: its answers by their names, None for those it does not give."""
    for supernet in one.supernets:
        yield {
            "run": supernet.run,
            "label": supernet.label,
            "seed": supernet.seed,
            "number": supernet.number,
            "relaxation": supernet.relaxation,
            "epoch": supernet.epoch,
            **{answer: supernet.depths.get(answer) for answer in Answer if answer is not Answer.TRAINING},
            "chosen_depth": supernet.chosen_depth,
        }


def training_rows(one: DepthStudy) -> Iterator[Row]:
    """One row for each depth that was trained in the ordinary way."""
    for depth, trained in one.trainings.depths.items():
        yield {
            "depth": depth,
            "num_seeds": len(trained.by_seed),
            "num_trainings": trained.num_trainings,
            **_interval("val_accuracy", trained.accuracy),
            "standard_error": trained.error,
            "within_error_of_best": depth in one.trainings.tied,
        }


def _interval(name: str, estimate: Estimate | None) -> Row:
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
