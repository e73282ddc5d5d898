"""Tables of docs/dynamic_exits.csv, as Markdown.

Accuracies are in %, differences in points, paired over seeds. Intervals are 95 %, of the mean over seeds
(`nas.statistics.bootstrap`). What is chosen is chosen on validation data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from as_markdown import head, row
from paired import difference as _difference
from paired import paired as _paired

FULL, PLAIN = "static-10", "exits-plain"
BUDGET = 0.5
"""Share of the full static chain's FLOPs at which a network with exits has to hold its accuracy."""
WORST = -0.3
"""Points below the full static chain that it may be there."""
NOTABLE_ECE = 0.02
ANYTIME = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares of the full static chain's FLOPs: the lower half of all budgets."""


def exits(path: Path, task: str) -> None:
    """Every exit, what distillation adds, calibration, and the point at half of the FLOPs."""
    lines = _read(path, task)
    names = _present(lines, "exits-")
    points = list(dict.fromkeys(lines[lines.network.isin(names) & lines.point.str.startswith("exit ")].point))
    print(f"\n### {task}: test accuracy of every exit, and of static chains\n")
    head("network", "seeds", "epochs", "training FLOPs", *points)
    for name in _present(lines, "static-"):
        of_depth = {f"exit {name.removeprefix('static-')}": "static"}
        row(*_trained(lines, name), *(_percent(lines, name, of_depth.get(point)) for point in points))
    for name in names:
        row(*_trained(lines, name), *(_percent(lines, name, point) for point in points))
    _distillation(lines, task, names, points)
    _calibration(lines, task, names, points)
    print(f"\n### {task}: at most {BUDGET:.0%} of the full static chain's FLOPs\n")
    head("network", "test accuracy", "FLOPs", "against static-10, points", f"mean >= {WORST}")
    full = _by_seed(lines, FULL, ["static"], "test_accuracy")
    for name in [*names, *(name for name in lines.network.unique() if name == "multiscale")]:
        chosen = _best_within(lines, name, BUDGET * _full_flops(lines))
        gaps = _paired(chosen["test_accuracy"], full)
        holds = "yes" if gaps and 100 * sum(gaps) / len(gaps) >= WORST else "no"
        share = (chosen["test_flops"] / _full_flops(lines)).mean()
        accuracy = f"{100 * chosen['test_accuracy'].mean():.2f}"
        row(name, accuracy, f"{share:.0%}", _difference(chosen["test_accuracy"], full), holds)


def _distillation(lines: pd.DataFrame, task: str, names: Sequence[str], points: Sequence[str]) -> None:
    """What teachers and weights add to every exit, and to all but the last."""
    print(f"\n### {task}: test accuracy against {PLAIN}, points\n")
    columns = {**{point: [point] for point in points}, "all but the last": points[:-1]}
    head("network", "seeds", *columns)
    for name in names:
        if name != PLAIN and PLAIN in names:
            pairs = [
                [_by_seed(lines, one, rows, "test_accuracy") for one in (name, PLAIN)] for rows in columns.values()
            ]
            row(name, str(len(_paired(*pairs[0]))), *(_difference(ours, theirs) for ours, theirs in pairs))


def _calibration(lines: pd.DataFrame, task: str, names: Sequence[str], points: Sequence[str]) -> None:
    """What one temperature per exit mends, and what chance alone would leave."""
    print(f"\n### {task}: expected calibration error in %, before -> after temperature scaling (chance alone)\n")
    head("network", *points)
    for name in names:
        errors = [_selected(lines, name, point)[["ece", "scaled_ece", "ece_floor"]].mean() for point in points]
        row(name, *(f"{100 * e.ece:.1f} -> {100 * e.scaled_ece:.2f} ({100 * e.ece_floor:.2f})" for e in errors))
    measured = lines[lines.ece > NOTABLE_ECE]
    halved = measured.ece >= 2 * measured.scaled_ece
    print(
        f"\nOver all networks with exits and all seeds, {len(measured)} exits had more than {NOTABLE_ECE:.0%}; "
        f"at least halved: {halved.sum()}."
    )
    for one in measured[~halved].itertuples():
        errors = f"{100 * one.ece:.2f} -> {100 * one.scaled_ece:.2f} ({100 * one.ece_floor:.2f})"
        print(f"- not halved: {one.network}, seed {one.seed}, {one.point}: {errors}")


def multiscale(path: Path, task: str) -> None:
    """The best exit within a budget, chosen on validation data: the anytime curve; and the best thresholds."""
    lines = _read(path, task)
    if "multiscale" not in set(lines.network):
        return
    of_exits = lines.point.str.startswith("exit ")
    _within_budgets(lines[of_exits | (lines.point == "static")], task, "exit")
    _within_budgets(lines, task, "exit or thresholds")
    _multiscale_exits(lines[of_exits], task, _full_flops(lines))


def _within_budgets(lines: pd.DataFrame, task: str, what: str) -> None:
    names = [name for name in (PLAIN, "exits-graded", "exits-first") if name in set(lines.network)]
    full = _full_flops(lines)
    print(f"\n### {task}: the best {what} within a share of the full static chain's FLOPs, test accuracy\n")
    columns = (column for name in names for column in (name, f"multiscale - {name}, points"))
    head("FLOPs", "multiscale", *columns)
    for share in ANYTIME:
        own = _best_within(lines, "multiscale", share * full)["test_accuracy"]
        cells = [f"{100 * own.mean():.2f}" if len(own) else "none"]
        for name in names:
            other = _best_within(lines, name, share * full)["test_accuracy"]
            cells += [f"{100 * other.mean():.2f}" if len(other) else "none", _difference(own, other)]
        row(f"{share:.0%}", *cells)


def _multiscale_exits(lines: pd.DataFrame, task: str, full: float) -> None:
    """Every exit of the multi-scale network, and the network of which only the last one was trained."""
    names = _present(lines, "multiscale")
    of_exits = lines[lines.network == "multiscale"].groupby("point", sort=False).test_flops.mean() / full
    print(f"\n### {task}: every exit of the multi-scale network, test accuracy, at its share of the FLOPs\n")
    head(
        "network", "seeds", "epochs", "training FLOPs", *(f"{point}: {share:.0%}" for point, share in of_exits.items())
    )
    for name in names:
        row(*_trained(lines, name), *(_percent(lines, name, point) for point in of_exits.index))
    if len(names) == 2:
        last = of_exits.index[-1:]
        all_exits, alone = (_by_seed(lines, name, last, "test_accuracy") for name in names)
        print(f"\nThe last exit with all others against the last alone: {_difference(all_exits, alone)} points.")


TABLES: Mapping[str, Callable[[Path, str], None]] = {"exits": exits, "multiscale": multiscale}
"""Of each subcommand."""


def _read(path: Path, task: str) -> pd.DataFrame:
    lines = pd.read_csv(path)
    return lines[lines.task == task]


def _present(lines: pd.DataFrame, prefix: str) -> list[str]:
    return sorted({name for name in lines.network if name.startswith(prefix)})


def _selected(lines: pd.DataFrame, name: str, point: str) -> pd.DataFrame:
    return lines[(lines.network == name) & (lines.point == point)]


def _trained(lines: pd.DataFrame, name: str) -> tuple[str, str, str, str]:
    """Name, seeds, epochs and share of the training FLOPs."""
    of_name = lines[lines.network == name]
    first = of_name.iloc[0]
    return name, str(of_name.seed.nunique()), str(first.epochs), f"{first.training_share:.1%}"


def _percent(lines: pd.DataFrame, name: str, point: str | None) -> str:
    accuracies = _selected(lines, name, point).test_accuracy if point else ()
    return f"{100 * accuracies.mean():.2f}" if len(accuracies) else ""


def _by_seed(lines: pd.DataFrame, name: str, points: Sequence[str], column: str) -> pd.Series:
    """The mean over some points."""
    return lines[(lines.network == name) & lines.point.isin(points)].groupby("seed")[column].mean()


def _best_within(lines: pd.DataFrame, name: str, flops: float) -> pd.DataFrame:
    """By seed, the point within the budget that is most accurate on validation data (ties: the cheap one)."""
    affordable = lines[(lines.network == name) & (lines.val_flops <= flops)]
    ordered = affordable.sort_values(["val_accuracy", "val_flops"], ascending=[False, True])
    return ordered.groupby("seed").first()


def _full_flops(lines: pd.DataFrame) -> float:
    return float(_selected(lines, FULL, "static").test_flops.iloc[0])
