"""Values as rows of the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from controllers.trial import SCORE, Epoch, Measurement, Proposal, Status
from search_spaces.architecture import Architecture, canonical_json
from search_spaces.readings import READINGS, Readings
from search_spaces.values import dump

RUN_SCORES = {
    "delivered_val_accuracy": "delivered_val_accuracy",
    "delivered_test_accuracy": "delivered_test_accuracy",
    SCORE: "retrained_val_accuracy",
    "retrained_test_accuracy": "retrained_test_accuracy",
}
"""Metrics of the final trial, and the columns of its run that they fill."""


NEW_TRIAL: Mapping[str, Any] = {
    "status": Status.RUNNING.value,
    "reason": "",
    "attempt": 0,
    "flops": 0,
    "device_us": 0,
    **dict.fromkeys(
        (
            *("num_parameters", "inference_flops", "epochs_trained", "metrics", "measurement"),
            *("val_accuracy", "val_loss", "train_loss"),
            *("finish_order", "run_spent", "reused_from", "finished_us", "finished_at"),
        )
    ),
}
"""What a trial has before it finishes: every row of one statement must name the same columns."""


def proposal_row(proposal: Proposal) -> dict[str, Any]:
    """The proposal; its architecture has columns of its own."""
    row = dump(replace(proposal, architecture=None))
    del row["architecture"]
    return row


def architecture_row(architecture: Architecture) -> dict[str, Any]:
    """A network."""
    form = json.loads(canonical_json(architecture.form))  # the order of the keys is part of the hashed text
    return {"id": architecture.id, "depth": architecture.depth, "form": form}


def measurement_row(measurement: Measurement) -> dict[str, Any]:
    """What a trial shows, whole and in columns of its own."""
    return {
        "measurement": dump(measurement),
        "epochs_trained": measurement.epochs,
        "num_parameters": measurement.num_parameters,
        "inference_flops": measurement.inference_flops,
        **_scores(measurement.metrics),
    }


def epoch_row(epoch: Epoch) -> dict[str, Any]:
    """What an epoch showed."""
    return {"epoch": epoch.number, **_scores(epoch.metrics), **asdict(epoch.cost)}


def level_rows(epoch: Epoch) -> list[dict[str, Any]]:
    """What an epoch showed of every level."""
    known = {name: epoch.readings.get(name) for name in READINGS}
    return [
        {
            "epoch": epoch.number,
            "level": level,
            "weight": weight,
            **{name: None if values is None else values[level] for name, values in known.items()},
        }
        for level, weight in enumerate(epoch.profile)
    ]


def point_rows(measurement: Measurement) -> list[dict[str, Any]]:
    """The operating points, in their order."""
    return [
        {
            "position": position,
            "model": one.model,
            "split": one.split,
            "setting": one.setting.label,
            "thresholds": list(one.setting.thresholds),
            "shares": list(one.point.shares),
            "mean_flops": one.point.mean_flops,
            "accuracy": one.point.accuracy,
            "latency_ms_batch1": one.latency_ms_batch1,
            "latency_ms_batch256": one.latency_ms_batch256,
        }
        for position, one in enumerate(measurement.points)
    ]


def readings(levels: Sequence[Any]) -> Readings:
    """Inverse of `level_rows`, from all rows of an epoch."""
    columns = {name: tuple(getattr(level, name) for level in levels) for name in READINGS}
    return {name: values for name, values in columns.items() if values and None not in values}


def _scores(metrics: Mapping[str, float]) -> dict[str, Any]:
    """All metrics, and again those that have columns of their own."""
    return {
        "metrics": dict(metrics),
        "val_accuracy": metrics.get(SCORE),
        "val_loss": metrics.get("val_loss"),
        "train_loss": metrics.get("train_loss"),
    }
