"""What the runs of `learned_depth.py` say, as Markdown.

    python benchmarks/depth_report.py [--results docs/learned_depth.csv] [--shares 0.25]

Differences are paired by seed, which all methods of a task share. The best grid and the ceiling are the best of their
kind in hindsight, by their own mean on the very test data: both are flattered, and the claim is tested against them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from depth_tasks import MIDDLE
from learned_depth import CLAIM, FIXED, GRIDS, RESULTS

from nas.statistics.bootstrap import mean
from nas.statistics.equivalence import MARGIN, paired_equivalence
from nas.statistics.estimate import Estimate
from nas.statistics.improvement import probability_of_improvement

DELIVERED, RETRAINED = "delivered_test", "retrained_test"
GUESS = f"fixed-{MIDDLE}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--shares", type=float, nargs="+")
    arguments = parser.parse_args()
    runs = pd.read_csv(arguments.results)
    for share in arguments.shares or sorted(runs["share"].unique()):
        of_share = runs[runs["share"] == share]
        print(f"\n## {100 * share:g} % of the grid's compute\n")
        accuracies(of_share, DELIVERED, "Delivered: the network that a run holds when its budget is spent")
        accuracies(of_share, RETRAINED, "Retrained: its depth under one final protocol")
        depths(of_share)
        claim(of_share)


def accuracies(runs: pd.DataFrame, score: str, title: str) -> None:
    """Mean and deviation over seeds, in percent."""
    table = 100 * runs.pivot_table(index="label", columns="task", values=score, aggfunc=["mean", "std"], sort=False)
    counts = runs.groupby(["task"])["seed"].nunique()
    tasks = list(counts.index)
    print(f"### {title}\n")
    head("method", *(f"{task} ({counts[task]} seeds)" for task in tasks), "mean")
    means = table["mean"].mean(axis=1)
    for label in table.index:
        cells = [f"{table['mean', task][label]:.1f} ± {table['std', task][label]:.1f}" for task in tasks]
        row(label, *cells, f"{means[label]:.2f}")
    print()


def depths(runs: pd.DataFrame) -> None:
    """Mean chosen depth."""
    table = runs.pivot_table(index="label", columns="task", values="depth", aggfunc="mean", sort=False)
    print("### Chosen depth, mean over seeds\n")
    head("method", *table.columns)
    for label, cells in table.iterrows():
        row(str(label), *("-" if pd.isna(cell) else f"{cell:.1f}" for cell in cells))
    print()


def claim(runs: pd.DataFrame) -> None:
    """The method against the best grid, the ceiling and the guess, task by task."""
    print(f"### `{CLAIM}` against the best grid, the ceiling and the practitioner's guess\n")
    head(
        *("task", "best grid", "ceiling", f"guess ({GUESS})", CLAIM, "against the best grid, points"),
        *("P(improvement)", f"worse by {100 * MARGIN:g} points: p", "P(ceiling beats the grid)", "against the guess"),
    )
    closed = []
    for task, of_task in runs.groupby("task", sort=False):
        scores = of_task.pivot_table(index="seed", columns="label", values=DELIVERED).dropna(axis=1)
        if CLAIM not in scores:
            continue
        means = scores.mean()
        grid, ceiling = (str(means[[one for one in kind if one in means]].idxmax()) for kind in (GRIDS, FIXED))
        found, against = scores[CLAIM].tolist(), scores[grid].tolist()
        differences = (scores[CLAIM] - scores[grid]).tolist()
        equivalence = paired_equivalence([differences], MARGIN)
        closed.append((means[CLAIM] - means[grid], means[ceiling] - means[grid]))
        row(
            str(task),
            f"{grid} {100 * means[grid]:.2f}",
            f"{ceiling} {100 * means[ceiling]:.2f}",
            f"{100 * means[GUESS]:.2f}",
            f"{100 * means[CLAIM]:.2f}",
            points(mean([differences], bounds=(-1.0, 1.0))),
            interval(probability_of_improvement([found], [against])),
            f"{equivalence.no_worse:.3f}" if equivalence else "-",
            interval(probability_of_improvement([scores[ceiling].tolist()], [against])),
            points(mean([(scores[CLAIM] - scores[GUESS]).tolist()], bounds=(-1.0, 1.0))),
        )
    gained, gaps = (sum(one[index] for one in closed) for index in (0, 1))
    if closed:
        share = 100 * gained / gaps
        print(f"\nOf the gap between the best grid and the ceiling, summed over tasks, it closes {share:.0f} %.")


def points(estimate: Estimate) -> str:
    """A difference of accuracies with its interval, in points."""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:+.2f}"
    return f"{100 * estimate.value:+.2f} [{100 * estimate.low:+.2f}, {100 * estimate.high:+.2f}]"


def interval(estimate: Estimate) -> str:
    """A probability with its interval."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def head(*names: str) -> None:
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
