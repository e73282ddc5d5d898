"""Differences between networks that were trained with the same seeds."""

from __future__ import annotations

import pandas as pd

from nas.statistics.bootstrap import mean
from nas.statistics.estimate import Estimate


def paired(ours: pd.Series, theirs: pd.Series) -> list[float]:
    """The differences, over the seeds that both have."""
    return [float(gap) for gap in (ours - theirs).dropna()]


def difference(ours: pd.Series, theirs: pd.Series) -> str:
    """Their mean and its interval, in points."""
    gaps = paired(ours, theirs)
    if not gaps:
        return "none"
    return points(mean([gaps], bounds=(-1.0, 1.0)))


def points(estimate: Estimate) -> str:
    """A difference of accuracies with its interval, in points."""
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:+.2f}"
    return f"{100 * estimate.value:+.2f} [{100 * estimate.low:+.2f}, {100 * estimate.high:+.2f}]"
