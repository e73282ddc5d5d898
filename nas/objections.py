"""Why a comparison should not be made: unequal budgets, too few seeds, one label for different methods.

An objection is about how studies were planned, so it can be known before anything has run. What a run failed to bring
is no objection; the comparison counts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from controllers.cost import Unit
from nas.merging import Spec, common_labels, numbered, with_tasks
from nas.quantities import amount
from nas.scores import MIN_PAIRS
from search_spaces.architecture import canonical_json


def objections(runs: pd.DataFrame, baseline: str, specs: Mapping[str, Spec] | None = None) -> tuple[str, ...]:
    """One sentence for each reason.

    Args:
        runs: as for `compare`.
        baseline: the label that the others are compared with.
        specs: study files by the name of the study; without them, labels are not looked into.
    """
    runs = with_tasks(runs)
    labels, _ = common_labels(runs)
    runs = runs[runs["label"].isin(labels)]
    return (*_budgets(runs), *_seeds(runs, baseline), *_namesakes(labels, specs or {}))


def _budgets(runs: pd.DataFrame) -> Iterator[str]:
    for task, of_task in runs.groupby("task", sort=False):
        budgets: dict[str, list[str]] = {}
        several = len(of_task["study"].unique()) > 1
        for unit, budget, label, study in (
            of_task[["unit", "budget", "label", "study"]].drop_duplicates().itertuples(index=False)
        ):
            owner = f"{label} in {study}" if several else label
            budgets.setdefault(amount(budget, Unit(unit)), []).append(owner)
        if len(budgets) > 1:
            found = "; ".join(f"{budget} for {', '.join(owners)}" for budget, owners in budgets.items())
            yield f"all runs of a task must have one budget, those of {task} have {len(budgets)}: {found}"


def _seeds(runs: pd.DataFrame, baseline: str) -> Iterator[str]:
    """Pairs, not runs, are what a method and the baseline have to share."""
    planned = {
        str(label): set(zip(of_one["task"], of_one["root_seed"], of_one["seed"], strict=True))
        for label, of_one in runs.groupby("label", sort=False)
    }
    few: dict[int, list[str]] = {}
    for label, pairs in planned.items():
        num = len(pairs & planned[baseline])
        if num < MIN_PAIRS and (label != baseline or len(planned) == 1):
            few.setdefault(num, []).append(label)
    if few:
        found = "; ".join(f"{numbered(num, 'seed')} for {', '.join(labels)}" for num, labels in few.items())
        yield (
            f"fewer than {MIN_PAIRS} seeds in common with the baseline {baseline} cannot tell more than chance: {found}"
        )


def _namesakes(labels: list[str], specs: Mapping[str, Spec]) -> Iterator[str]:
    for label in labels:
        meanings: dict[str, list[str]] = {}
        for study, spec in specs.items():
            for method in spec.get("methods", ()):
                written = {"method": method} if isinstance(method, str) else dict(method)
                if written.pop("label", written["method"]) == label:
                    meanings.setdefault(canonical_json(written), []).append(study)
        if len(meanings) > 1:
            found = "; ".join(f"{meaning} in {', '.join(studies)}" for meaning, studies in meanings.items())
            yield f"one label must stand for one method, but {label} is {found}"
