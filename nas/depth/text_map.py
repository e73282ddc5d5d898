"""A map of the weights for the terminal: levels upwards, epochs to the right, the darker the greater."""

from __future__ import annotations

import math

import numpy as np
from rich.text import Text

from nas.depth.maps import Array, WeightMap, shrunk, stretches

MAX_ROWS, MAX_COLUMNS = 24, 60
SHADES = " ░▒▓█"
"""Of a fifth of the greatest weight each: a map of many levels should not be all grain."""
POSITIVE, NEGATIVE, AXIS, MARK = "blue", "red", "dim", "bold"
"""Styles."""


def text_map(weights: WeightMap) -> Text:
    """One method's weights, in a character or more for each epoch; of several epochs or levels, the mean."""
    weight_RC = shrunk(shrunk(weights.weight_EL, MAX_COLUMNS).T, MAX_ROWS)
    greatest = float(np.nanmax(np.abs(weight_RC)))
    num_columns = weight_RC.shape[1]
    repeat = max(MAX_COLUMNS // 2 // num_columns, 1)
    levels_R = [range(weights.num_levels)[levels] for levels in stretches(weights.num_levels, MAX_ROWS)]
    labels = [_range(levels[0], levels[-1]) for levels in levels_R]
    width = max(map(len, labels))
    text = Text.assemble(
        (f"{weights.label}:", "bold"),
        f" {weights.meaning} of every level over training, mean of {weights.num_runs}"
        f" run{'' if weights.num_runs == 1 else 's'}; greatest {greatest:.2g}{_sign_legend(weight_RC)}\n",
    )
    for row in reversed(range(len(levels_R))):
        text.append(f"{labels[row]:>{width}} │", AXIS)
        for weight in weight_RC[row]:
            text.append(_shade(weight, greatest) * repeat, POSITIVE if weight >= 0 else NEGATIVE)
        text.append(f"{_marks(weights, levels_R[row])}\n", MARK)
    length = num_columns * repeat
    last = f"{weights.num_epochs}"
    text.append(f"{'':>{width}} └{'─' * length}\n", AXIS)
    text.append(f"{'':>{width}}  1{last:>{max(length - 1, len(last) + 1)}}  epoch", AXIS)
    return text


def _shade(weight: float, greatest: float) -> str:
    if math.isnan(weight) or greatest == 0:
        return " "
    return SHADES[min(int(abs(weight) / greatest * len(SHADES)), len(SHADES) - 1)]


def _marks(weights: WeightMap, levels: range) -> str:
    marks = []
    if weights.chosen_depth is not None and round(weights.chosen_depth) in levels:
        marks.append("chosen" if weights.chosen_depth.is_integer() else f"chosen ({weights.chosen_depth:.1f})")
    if weights.best_depth in levels:
        marks.append("D3")
    return f" ← {', '.join(marks)}" if marks else ""


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _sign_legend(weight_RC: Array) -> str:
    return ", negative ones red" if bool(np.nanmin(weight_RC) < 0) else ""
