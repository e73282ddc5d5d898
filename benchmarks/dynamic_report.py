"""Tables of docs/dynamic_depth.csv, as Markdown: accuracies in %, differences in points, paired over seeds.

Intervals are 95 %, of the mean over seeds (`nas.statistics.bootstrap`). What is chosen is chosen on validation data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from as_markdown import head, row
from paired import difference as _difference
from paired import paired as _paired

FULL = "static-10"
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
    print(f"\n### {task}: mean accuracy of all exits but the last, against no distillation\n")
    head("network", "points")
    early = {name: _by_seed(lines, name, points[:-1], "test_accuracy") for name in names}
    for name in names:
        if name != "exits-plain" and "exits-plain" in early:
            row(name, _difference(early[name], early["exits-plain"]))
    print(f"\n### {task}: expected calibration error in %, before -> after temperature scaling\n")
    head("network", *points)
    for name in names:
        errors = [_selected(lines, name, point)[["ece", "scaled_ece"]].mean() for point in points]
        row(name, *(f"{100 * one.ece:.1f} -> {100 * one.scaled_ece:.1f}" for one in errors))
    measured = lines[lines.network.isin(names) & (lines.ece > NOTABLE_ECE)]
    halved = (measured.ece >= 2 * measured.scaled_ece).sum()
    print(
        f"\nAt least halved in {halved} of the {len(measured)} exits, over networks and seeds, that had more than 2 %."
    )
    print(f"\n### {task}: at most {BUDGET:.0%} of the full static chain's FLOPs\n")
    head("network", "test accuracy", "FLOPs", "against static-10, points", f"mean >= {WORST}")
    full = _by_seed(lines, FULL, ["static"], "test_accuracy")
    for name in [*names, *_present(lines, "multiscale")]:
        chosen = _best_within(lines, name, BUDGET)
        gaps = _paired(chosen["test_accuracy"], full)
        holds = "yes" if gaps and 100 * sum(gaps) / len(gaps) >= WORST else "no"
        share = (chosen["test_flops"] / _full_flops(lines)).mean()
        accuracy = f"{100 * chosen['test_accuracy'].mean():.2f}"
        row(name, accuracy, f"{share:.0%}", _difference(chosen["test_accuracy"], full), holds)


def multiscale(path: Path, task: str) -> None:
    """The best exit within a budget, chosen on validation data: the anytime curve."""
    lines = _read(path, task)
    lines = lines[lines.point.str.startswith("exit ") | (lines.point == "static")]
    names = [name for name in ("exits-plain", "exits-last") if name in set(lines.network)]
    print(f"\n### {task}: the best exit within a share of the full static chain's FLOPs, test accuracy\n")
    columns = (column for name in names for column in (name, f"multiscale - {name}, points"))
    head("FLOPs", "multiscale", *columns)
    for share in ANYTIME:
        own = _best_within(lines, "multiscale", share)["test_accuracy"]
        cells = [f"{100 * own.mean():.2f}" if len(own) else "none"]
        for name in names:
            other = _best_within(lines, name, share)["test_accuracy"]
            cells += [f"{100 * other.mean():.2f}" if len(other) else "none", _difference(own, other)]
        row(f"{share:.0%}", *cells)
    if "multiscale" in set(lines.network):
        _, seeds, epochs, training = _trained(lines, "multiscale")
        print(f"\nmultiscale: {seeds} seeds, {epochs} epochs, {training} of the training FLOPs")


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


def _best_within(lines: pd.DataFrame, name: str, share: float) -> pd.DataFrame:
    """By seed, the point within the budget that is most accurate on validation data (ties: the cheap one)."""
    affordable = lines[(lines.network == name) & (lines.val_flops <= share * _full_flops(lines))]
    ordered = affordable.sort_values(["val_accuracy", "val_flops"], ascending=[False, True])
    return ordered.groupby("seed").first()


def _full_flops(lines: pd.DataFrame) -> float:
    return float(_selected(lines, FULL, "static").test_flops.iloc[0])
