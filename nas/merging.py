"""Several studies in one comparison: which of them have one task, and which methods are in all of them.

Studies that agree in everything that decides what a method has to solve (task, space, training, final protocol) have
one task: the runs of one are more seeds of the other. All others are tasks of their own. Budgets are not part of it:
that they must be equal within a task is for `nas.objections` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from search_spaces.architecture import canonical_json
from search_spaces.errors import InvalidInput

TASK_FIELDS = ("task", "space", "training", "final", "scheduler", "spend_rest", "reuse")
"""Fields of a study file that make its task."""

Spec = Mapping[str, Any]


def task_names(specs: Mapping[str, Spec]) -> dict[str, str]:
    """The task of every study, called by the names of the studies that have it.

    Args:
        specs: study files by the name of the study.
    """
    studies: dict[str, list[str]] = {}
    for name, spec in specs.items():
        studies.setdefault(canonical_json({field: spec.get(field) for field in TASK_FIELDS}), []).append(name)
    return {name: " + ".join(names) for names in studies.values() for name in names}


def with_tasks(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs in the order of their studies, with a `task` and a `root_seed`: by default, a study is a task.

    Raises:
        InvalidInput: there are none, or two of one method, task and seed.
    """
    if runs.empty:
        raise InvalidInput("there are no runs to compare")
    order = {study: position for position, study in enumerate(runs["study"].unique())}
    runs = runs.assign(
        task=runs.get("task", runs["study"]),
        root_seed=runs.get("root_seed", 0),
    )
    runs = runs.sort_values(
        ["study", "run"], key=lambda column: column.map(order) if column.name == "study" else column
    )
    _refuse_repeats(runs)
    return runs


def common_labels(runs: pd.DataFrame) -> tuple[list[str], tuple[str, ...]]:
    """The methods that every task has, in order, and a note on each of the others.

    Raises:
        InvalidInput: there is none.
    """
    tasks = list(runs["task"].unique())
    homes = {str(label): list(of_one["task"].unique()) for label, of_one in runs.groupby("label", sort=False)}
    common = [label for label, found in homes.items() if len(found) == len(tasks)]
    if not common:
        listing = "; ".join(f"{task} has {', '.join(_labels(runs, task))}" for task in tasks)
        raise InvalidInput(f"the studies have no method in common, by its label: {listing}")
    left_out = (
        f"left out: {label}, which is in {', '.join(found)} only"
        for label, found in homes.items()
        if label not in common
    )
    return common, tuple(left_out)


def numbered(count: int, what: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def listing(seeds: Iterable[int]) -> str:
    """Seeds in order, those that follow each other as a range: `0-5, 8`."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][-1] + 1:
            ranges[-1][1:] = [seed]
        else:
            ranges.append([seed])
    return ", ".join("-".join(map(str, ends)) for ends in ranges)


def _refuse_repeats(runs: pd.DataFrame) -> None:
    repeated = runs[runs.duplicated(["task", "label", "root_seed", "seed"], keep=False)]
    if repeated.empty:
        return
    label = repeated["label"].iloc[0]
    of_one = repeated[(repeated["label"] == label) & (repeated["task"] == repeated["task"].iloc[0])]
    raise InvalidInput(
        f"studies with one task must have different seeds, but {' and '.join(of_one['study'].unique())} both have "
        f"{label} with {listing(of_one['seed'].astype(int).unique())}"
    )


def _labels(runs: pd.DataFrame, task: str) -> list[str]:
    return [str(label) for label in runs.loc[runs["task"] == task, "label"].unique()]
