"""Operating points as networks: what depends on the input is as many networks as it has settings.

Each has the accuracy and the mean FLOPs per input of its setting on validation data. So whoever compares networks by
what they cost has static and dynamic ones side by side.
"""

from __future__ import annotations

import pandas as pd

from controllers.trial import Kind

KEY = ("study", "run", "number")
POINT_COLUMNS = ("run", "number", "model", "split", "setting", "mean_flops", "accuracy")
"""Of the table `operating_points`."""
WHOLE = ""
"""The setting of a network that treats all inputs alike."""


def with_settings(trials: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """The trials, each followed by its settings, and what the setting is called in the column `setting`.

    A supernet that has settings is a network that a run may deliver: as such it counts.

    Args:
        trials: `KEY`, and at least `kind`, `val_accuracy` and `inference_flops`.
        points: `study` and `POINT_COLUMNS` of the same trials.
    """
    trials = trials.assign(setting=WHOLE)
    searched = points[(points["model"] == "own") & (points["split"] == "validation")]
    if searched.empty:
        return trials
    settings = trials.drop(columns="setting").merge(searched[[*KEY, "setting", "mean_flops", "accuracy"]], on=list(KEY))
    settings = settings.assign(
        kind=settings["kind"].replace(Kind.RELAXATION.value, Kind.ARCHITECTURE.value),
        val_accuracy=settings["accuracy"],
        inference_flops=settings["mean_flops"],
    )
    both = pd.concat([trials.astype({"inference_flops": "Float64"}), settings[trials.columns]], ignore_index=True)
    return both.sort_values(list(KEY), kind="stable", ignore_index=True)
