"""Runs as Markdown tables, and as curves for the plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

import numpy as np
from peer_runs.protocol import BUDGET_S, CHECKPOINTS_S, Outcome
from scipy.stats import t as student

Rate = tuple[float, float]
"""Trials per second, by the wall's clock and in processor time."""
FIRST_S = 600.0
"""Where the curves begin: by then every run holds something."""
NUM_POINTS = 115


@dataclass(frozen=True, kw_only=True)
class Line:
    """One method of one package, and its runs."""

    package: str
    method: str
    outcomes: Sequence[Outcome]

    @property
    def final(self) -> float:
        """Mean test accuracy at the end."""
        return mean(outcome.held_at(BUDGET_S) for outcome in self.outcomes)


def accuracy_table(lines: Sequence[Line]) -> list[str]:
    """Best last accuracy first."""
    marks = " | ".join(f"{seconds:,.0f} s" for seconds in CHECKPOINTS_S)
    made = [
        f"| method | package | runs | {marks} | trials | ms per proposal |",
        "|---" * (len(CHECKPOINTS_S) + 5) + "|",
    ]
    for line in sorted(lines, key=lambda line: -line.final):
        cells = " | ".join(_cell([one.held_at(seconds) for one in line.outcomes]) for seconds in CHECKPOINTS_S)
        num_trials = sum(one.num_trials for one in line.outcomes)
        busy_ms = 1e3 * sum(one.busy_s for one in line.outcomes) / num_trials
        runs = len(line.outcomes)
        made.append(
            f"| {line.method} | {line.package} | {runs} | {cells} | {num_trials / runs:.0f} | {_figure(busy_ms)} |"
        )
    return made


def speed_table(rates: Mapping[str, Sequence[Rate]], own: Sequence[str]) -> list[str]:
    """Trials per second by loop, and how much less processor time the project's `own` loops take, turn by turn."""
    ratios = " | ".join(f"{name} / this" for name in own)
    made = [f"| loop | trials/s | trials per processor second | {ratios} |", "|---" * (3 + len(own)) + "|"]
    for name, measured in rates.items():
        ratios = " | ".join("" if name in own else _ratio(rates[one], measured) for one in own)
        wall, processor = (median(clock) for clock in zip(*measured, strict=True))
        made.append(f"| {name} | {wall:,.0f} | {processor:,.0f} | {ratios} |")
    return made


def curves(lines: Sequence[Line]) -> list[dict[str, object]]:
    """Mean test accuracy of what the runs held, against simulated seconds."""
    seconds = np.linspace(FIRST_S, BUDGET_S, NUM_POINTS).tolist()
    return [
        {
            "package": line.package,
            "method": line.method,
            "seconds": seconds,
            "accuracy": [mean(one.held_at(moment) for one in line.outcomes) for moment in seconds],
        }
        for line in lines
    ]


def _cell(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}"
    centre, spread = mean(values), stdev(values)
    half = float(student.ppf(0.975, len(values) - 1)) * spread / len(values) ** 0.5
    return f"{centre:.2f} ± {spread:.2f} [{centre - half:.2f}, {centre + half:.2f}]"


def _ratio(ours: Sequence[Rate], theirs: Sequence[Rate]) -> str:
    ratios = sorted(one[1] / other[1] for one, other in zip(ours, theirs, strict=True))
    return f"{median(ratios):.1f} ({ratios[0]:.1f}, {ratios[-1]:.1f})"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
