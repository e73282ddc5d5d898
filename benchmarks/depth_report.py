"""What the runs of `learned_depth.py` say, as Markdown.

    python benchmarks/depth_report.py [--results docs/learned_depth.csv] [--shares 0.25] [--tasks letter ...]

Differences are paired by seed, which all methods of a task share. The best grid and the ceiling are the best of their
kind in hindsight, by their own mean on the very test data: both are flattered, and the claim is tested against them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import pandas as pd
from as_markdown import head, row
from depth_tasks import JOINT
from learned_depth import BOOSTED, CLAIM, FIXED, GRIDS, LEARNED, RESULTS, SEARCHED, TASKS
from paired import points

from nas.statistics.bootstrap import mean
from nas.statistics.equivalence import MARGIN, paired_equivalence
from nas.statistics.estimate import Estimate
from nas.statistics.improvement import probability_of_improvement

DELIVERED, RETRAINED = "delivered_test", "retrained_test"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--shares", type=float, nargs="+")
    parser.add_argument("--tasks", nargs="+")
    arguments = parser.parse_args()
    runs = pd.read_csv(arguments.results)
    if arguments.tasks:
        runs = runs[runs["task"].isin(arguments.tasks)]
    for share in arguments.shares or sorted(runs["share"].unique()):
        of_share = runs[runs["share"] == share]
        is_joint = of_share["task"].isin(JOINT)
        for title, part in (("depth", of_share[~is_joint]), ("depth and operations", of_share[is_joint])):
            if len(part):
                print(f"\n## {100 * share:g} % of the grid's compute: {title}\n")
                report(part)


def report(runs: pd.DataFrame) -> None:
    """All tables of one share, of spaces of one kind."""
    accuracies(runs, DELIVERED, "Delivered: the network that a run holds when its budget is spent")
    accuracies(runs, RETRAINED, "Retrained: what it chose, under one final protocol")
    depths(runs)
    against_grids(runs)
    claim(runs)


def accuracies(runs: pd.DataFrame, score: str, title: str) -> None:
    """Mean and deviation over seeds, in percent."""
    table = 100 * runs.pivot_table(index="label", columns="task", values=score, aggfunc=["mean", "std"], sort=False)
    counts = runs.groupby(["task"])["seed"].nunique()
    tasks = list(counts.index)
    print(f"### {title}\n")
    head("method", *(f"{task} ({counts[task]} seeds)" for task in tasks), "mean")
    means = table["mean"].mean(axis=1)
    for label in table.index:
        cells = [spread(table["mean", task][label], table["std", task][label]) for task in tasks]
        row(label, *cells, f"{means[label]:.2f}" if table["mean"].loc[label].notna().all() else "-")
    print()


def spread(of_mean: float, deviation: float) -> str:
    return "-" if pd.isna(of_mean) else f"{of_mean:.1f} ± {deviation:.1f}"


def depths(runs: pd.DataFrame) -> None:
    """Mean chosen depth."""
    table = runs.pivot_table(index="label", columns="task", values="depth", aggfunc="mean", sort=False)
    print("### Chosen depth, mean over seeds\n")
    head("method", *table.columns)
    for label, cells in table.iterrows():
        row(str(label), *("-" if pd.isna(cell) else f"{cell:.1f}" for cell in cells))
    print()


def against_grids(runs: pd.DataFrame) -> None:
    """Every method that learns, against the best grid of each task and against each grid over all tasks.

    On the seeds that all methods of a task have.
    """
    tables = {str(task): scores(of_task).dropna() for task, of_task in runs.groupby("task", sort=False)}
    grids = {task: best(table, GRIDS) for task, table in tables.items()}
    labels = [
        label
        for label in dict.fromkeys((*LEARNED, *BOOSTED, *SEARCHED))
        if any(label in table for table in tables.values())
    ]
    print("### Delivered, points over the best grid of the task / probability of improvement\n")
    head(
        "method", *(f"{task} ({grids[task]})" for task in tables), *(f"mean over {one}" for one in ("the best", *GRIDS))
    )
    for label in labels:
        row(
            label,
            *(compared(table, label, grids[task]) for task, table in tables.items()),
            mean_over(label, [(table, grids[task]) for task, table in tables.items()]),
            *(mean_over(label, [(table, grid) for table in tables.values()]) for grid in GRIDS),
        )
    print()


def compared(table: pd.DataFrame, label: str, grid: str) -> str:
    """Points over the grid, and how often a run of the method beats one of the grid."""
    if label not in table:
        return "-"
    return f"{100 * fmean(paired(table, label, grid)):+.2f} / {improvement(table, label, grid).value:.2f}"


def mean_over(label: str, of_tasks: Sequence[tuple[pd.DataFrame, str]]) -> str:
    """Points over the grid of each task, in the mean over all tasks, where all have both."""
    if any(label not in table or grid not in table for table, grid in of_tasks):
        return "-"
    return f"{100 * fmean(fmean(paired(table, label, grid)) for table, grid in of_tasks):+.2f}"


def best(table: pd.DataFrame, kind: Iterable[str]) -> str:
    """The label of this kind with the greatest mean."""
    means = table.mean()
    return str(means[[label for label in kind if label in means]].idxmax())


def scores(of_task: pd.DataFrame) -> pd.DataFrame:
    """Delivered accuracy by seed and method; not all methods have all seeds."""
    return of_task.pivot_table(index="seed", columns="label", values=DELIVERED, sort=False)


def paired(table: pd.DataFrame, label: str, against: str) -> list[float]:
    """Differences on the seeds that both have."""
    return (table[label] - table[against]).dropna().tolist()


def improvement(table: pd.DataFrame, label: str, against: str) -> Estimate:
    """How probable it is that a run of one is better than a run of the other, on all seeds that each has."""
    return probability_of_improvement([table[label].dropna().tolist()], [table[against].dropna().tolist()])


def claim(runs: pd.DataFrame) -> None:
    """The method against the best grid, the ceiling and the guess, task by task."""
    tables = {str(task): scores(of_task) for task, of_task in runs.groupby("task", sort=False)}
    tables = {task: table for task, table in tables.items() if CLAIM in table}
    if not tables:
        return
    print(f"### `{CLAIM}` against the best grid, the ceiling and the practitioner's guess\n")
    head(
        *("task", "best grid", "ceiling", "guess", CLAIM, "against the best grid, points"),
        *("P(improvement)", f"worse by {100 * MARGIN:g} points: p", "P(ceiling beats the grid)", "against the guess"),
    )
    closed = []
    for task, table in tables.items():
        means, guess = table.mean(), f"fixed-{TASKS[task].guess}"
        grid, ceiling = best(table, GRIDS), best(table, FIXED)
        differences = paired(table, CLAIM, grid)
        equivalence = paired_equivalence([differences], MARGIN)
        closed.append((means[CLAIM] - means[grid], means[ceiling] - means[grid]))
        row(
            f"{task} ({len(differences)} seeds)",
            f"{grid} {100 * means[grid]:.2f}",
            f"{ceiling} {100 * means[ceiling]:.2f}",
            f"{guess} {100 * means[guess]:.2f}",
            f"{100 * means[CLAIM]:.2f}",
            points(mean([differences], bounds=(-1.0, 1.0))),
            interval(improvement(table, CLAIM, grid)),
            f"{equivalence.no_worse:.3f}" if equivalence else "-",
            interval(improvement(table, ceiling, grid)),
            points(mean([paired(table, CLAIM, guess)], bounds=(-1.0, 1.0))),
        )
    gained, gaps = (sum(one[index] for one in closed) for index in (0, 1))
    share = 100 * gained / gaps
    print(f"\nOf the gap between the best grid and the ceiling, summed over tasks, it closes {share:.0f} %.")


def interval(estimate: Estimate) -> str:
    """A probability with its interval."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


if __name__ == "__main__":
    main()
