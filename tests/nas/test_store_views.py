"""The views against rows worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from controllers.cost import Unit
from controllers.trial import Kind, Trial
from nas.records import Account, Phase
from nas.store import Store
from search_spaces.operating_points import MeasuredPoint, OperatingPoint, Part, Setting
from tests.nas.histories import charge, chose, epoch, finish, finished, plan, report, search, start, started

NONE = -1


def rows(store: Store, view: str, *columns: str) -> list[tuple[object, ...]]:
    """Rows in the view's order, with NONE for a missing value."""
    frame = store.frame(view)[list(columns)].fillna(NONE)
    return [tuple(row) for row in frame.itertuples(index=False)]


def test_the_incumbent_is_the_first_best_completed_network_so_far(store: Store):
    study_id = store.create_study("depths", {}, [plan(0), plan(1)], {})
    pruned, reused, final = started(5, depth=9), started(6, depth=1), started(7, depth=3, kind=Kind.FINAL)
    history = [
        *search(0, 0, 0, 0.99, 10, kind=Kind.RELAXATION),  # a supernet is never delivered
        *search(0, 1, 1, None, 1),
        *search(0, 2, 3, 0.5, 100, depth=2),
        *search(0, 3, 4, 0.4, 100, depth=5),
        *search(0, 4, 6, 0.7, 100, depth=3),
        start(0, pruned),
        finish(0, finished(pruned, 0.9, status="pruned"), 7, charge(50)),
        start(0, reused),
        finish(0, finished(reused, 0.7), 8, reused_from=4),
        start(0, final, account=Account.FINAL),
        finish(0, finished(final, 0.95), 9, charge(1000), account=Account.FINAL),
        *search(1, 0, 2, 0.6, 7, depth=8),
        *search(1, 1, 5, 0.8, 7, depth=7, kind=Kind.CONTINUATION),
        start(1, started(2)),
    ]
    store.record(study_id, history)
    columns = ("run", "finish_order", "number", "spent", "best_val_accuracy", "incumbent", "depth")
    assert rows(store, "v_incumbent", *columns) == [
        (0, 0, 0, 10.0, NONE, NONE, NONE),
        (0, 1, 1, 11.0, NONE, NONE, NONE),
        (0, 3, 2, 111.0, 0.5, 2, 2),
        (0, 4, 3, 211.0, 0.5, 2, 2),
        (0, 6, 4, 311.0, 0.7, 4, 3),
        (0, 7, 5, 361.0, 0.7, 4, 3),
        (0, 8, 6, 361.0, 0.7, 4, 3),
        (1, 2, 0, 7.0, 0.6, 0, 8),
        (1, 5, 1, 14.0, 0.8, 1, 7),
    ]


def test_the_incumbent_view_spends_in_the_unit_of_the_run(store: Store):
    """One trial of 3 FLOPs, which took 6 microseconds."""
    study_id = store.create_study("depths", {}, [plan(0), plan(1, unit=Unit.DEVICE_SECONDS)], {})
    store.record(study_id, [*search(0, 0, 0, 0.5, 3), *search(1, 0, 1, 0.5, 3)])
    assert rows(store, "v_incumbent", "unit", "spent") == [("flops", 3.0), ("device_seconds", 6e-6)]


def test_the_comparison_has_one_row_for_each_run(store: Store):
    plans = [
        plan(0, budget=400, label="grid"),
        plan(1, unit=Unit.DEVICE_SECONDS, budget=8_000_000, label="random"),
        plan(2, budget=0),
    ]
    study_id = store.create_study("depths", {}, plans, {})
    final = started(1, kind=Kind.FINAL, depth=4)
    scores = {"delivered_val_accuracy": 0.5, "delivered_test_accuracy": 0.4, "retrained_test_accuracy": 0.6}
    history = [
        *search(0, 0, 0, 0.5, 100, depth=4),
        chose(0, 0, Phase.FINAL, "budget spent"),
        start(0, final, account=Account.FINAL),
        finish(0, finished(final, 0.7, **scores), 1, charge(1000), account=Account.FINAL),
        chose(0, 0, Phase.DONE, "budget spent"),
        *search(1, 0, 2, None, 1_000_000),
    ]
    store.record(study_id, history)
    frame = store.frame("v_compare")
    assert frame[["study", "label", "seed", "unit", "phase", "stop_reason"]].values.tolist() == [
        ["depths", "grid", 7, "flops", "done", "budget spent"],
        ["depths", "random", 7, "device_seconds", "searching", ""],
        ["depths", "random", 7, "flops", "searching", ""],
    ]
    assert frame[["budget", "spent"]].values.tolist() == [[400.0, 100.0], [8.0, 2.0], [0.0, 0.0]]
    assert frame["spent_fraction"].tolist()[:2] == [0.25, 0.25]
    assert math.isnan(frame["spent_fraction"][2])
    accuracies = [
        "delivered_val_accuracy",
        "delivered_test_accuracy",
        "retrained_val_accuracy",
        "retrained_test_accuracy",
    ]
    assert frame[accuracies].loc[0].tolist() == [0.5, 0.4, 0.7, 0.6]
    assert frame[["depth", "num_parameters", "inference_flops"]].loc[0].tolist() == [4, 30, 60]
    assert frame[[*accuracies, "depth", "num_parameters", "inference_flops"]].loc[1:].isna().all(axis=None)


def test_the_depth_view_shows_the_weight_of_every_level_beside_the_chosen_depth(store: Store):
    study_id = store.create_study("depths", {}, [plan(0), plan(1, label="darts")], {})
    supernet = started(0, kind=Kind.RELAXATION)
    reports = (epoch(1, profile=(0.5, 0.5)), epoch(2, profile=(0.125, 0.875)))
    store.record(study_id, [start(1, supernet), report(1, 0, *reports), finish(1, finished(supernet, 0.5), 0)])
    store.record(study_id, [*search(1, 1, 1, 0.5, 1, depth=6), chose(1, 1)])
    columns = ("run", "label", "seed", "number", "epoch", "level", "weight", "chosen_depth")
    assert rows(store, "v_depth", *columns) == [
        (1, "darts", 7, 0, 1, 0, 0.5, 6),
        (1, "darts", 7, 0, 1, 1, 0.5, 6),
        (1, "darts", 7, 0, 2, 0, 0.125, 6),
        (1, "darts", 7, 0, 2, 1, 0.875, 6),
    ]


def dynamic(trial: Trial, *points: MeasuredPoint) -> Trial:
    """A finished trial with these operating points."""
    done = finished(trial, 0.5)
    assert done.measurement is not None
    return replace(done, measurement=replace(done.measurement, points=points))


def measured(
    split: Part, label: str, threshold: float | None, flops: float, accuracy: float, **more: Any
) -> MeasuredPoint:
    setting = Setting(label=label, thresholds=(threshold,))
    point = OperatingPoint(accuracy=accuracy, mean_flops=flops, shares=(0.25, 0.75))
    return MeasuredPoint(model="own", split=split, setting=setting, point=point, **more)


def test_operating_points_are_rows_in_their_order(store: Store):
    study_id = store.create_study("exits", {}, [plan()], {})
    trial = started(0, depth=3)
    points = (
        measured("validation", "p=1", 0.75, 12.5, 0.5),
        measured("test", "last exit", None, 60, 0.625, latency_ms_batch1=2.0, latency_ms_batch256=0.5),
    )
    store.record(study_id, [start(0, trial), finish(0, dynamic(trial, *points), 0)])
    reused = dynamic(started(1, depth=3), *points)
    store.record(study_id, [start(0, started(1, depth=3)), finish(0, reused, 1, reused_from=0)])
    columns = ("number", "kind", "depth", "model", "split", "setting", "mean_flops", "accuracy", "inference_flops")
    assert rows(store, "v_operating_points", *columns) == [
        (0, "architecture", 3, "own", "validation", "p=1", 12.5, 0.5, 60),
        (0, "architecture", 3, "own", "test", "last exit", 60, 0.625, 60),
    ]
    frame = store.frame("operating_points", "exits")
    assert frame["thresholds"].tolist() == [[0.75], [None]]
    assert frame["shares"].tolist() == [[0.25, 0.75]] * 2
    assert frame["latency_ms_batch1"].isna().tolist() == [True, False]
    stored = store.load(study_id).finished
    assert [one.trial.measurement.points for one in stored if one.trial.measurement] == [points, points]


@pytest.mark.parametrize("view", ["v_incumbent", "v_compare", "v_depth", "v_operating_points"])
def test_a_view_keeps_studies_apart(store: Store, view: str):
    for name in ("one", "two"):
        study_id = store.create_study(name, {}, [plan()], {})
        supernet = started(0, kind=Kind.RELAXATION)
        scored = dynamic(supernet, measured("validation", "p=1", 0.5, 1, 1))
        history = [start(0, supernet), report(0, 0, epoch(1, profile=(1.0,))), finish(0, scored, 0)]
        store.record(study_id, history)
    assert store.frame(view)["study"].tolist() == ["one", "two"]
    assert store.frame(view, "two")["study"].tolist() == ["two"]
