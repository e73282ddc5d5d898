"""Ranks of methods, and how far two rankings agree.

By Kendall (Biometrika 30, 1938; ties: Biometrika 33, 1945), or by Spearman (American Journal of Psychology 15, 1904).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.statistics.significance import DIGITS


def ranks(values: Sequence[float | None]) -> list[float]:
    """From 1 for the greatest; equal values share the mean of their ranks, missing ones the last."""
    x_N = np.array([-np.inf if value is None else round(value, DIGITS) for value in values])
    greater = (x_N[None, :] > x_N[:, None]).sum(axis=1)
    equal = (x_N[None, :] == x_N[:, None]).sum(axis=1)
    return [float(rank) for rank in greater + (equal + 1) / 2]


def kendall_tau(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Tau-b of two rankings: 1 the same, 0 unrelated, -1 reversed; None where one has only ties."""
    x_NN, y_NN = (np.sign(np.subtract.outer(np.asarray(z), np.asarray(z))) for z in (x, y))
    scale = float(np.sqrt((x_NN**2).sum() * (y_NN**2).sum()))
    return float((x_NN * y_NN).sum()) / scale if scale else None


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Rho of two profiles: the correlation of their ranks, ties sharing theirs; None where one has only ties."""
    from scipy.stats import spearmanr  # not everybody who imports this waits for SciPy

    x_N, y_N = (np.round(np.asarray(z, dtype=float), DIGITS) for z in (x, y))
    if len(x_N) < 2 or np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
        return None
    return float(spearmanr(x_N, y_N).statistic)
