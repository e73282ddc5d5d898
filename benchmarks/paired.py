"""Differences between networks that were trained with the same seeds."""

from __future__ import annotations

import pandas as pd

from nas.statistics.bootstrap import mean


def paired(ours: pd.Series, theirs: pd.Series) -> list[float]:
    """The differences, over the seeds that both have."""
    return [float(gap) for gap in (ours - theirs).dropna()]


def difference(ours: pd.Series, theirs: pd.Series) -> str:
    """Their mean and its interval, in points."""
    gaps = paired(ours, theirs)
    if not gaps:
        return "none"
    found = mean([gaps], bounds=(-1.0, 1.0))
    interval = "" if found.low is None or found.high is None else f" [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
    return f"{100 * found.value:+.2f}{interval}"
