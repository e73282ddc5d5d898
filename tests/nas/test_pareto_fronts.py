"""The fronts of a study that was written down by hand."""

import json

import pandas as pd
import pytest

from controllers.objectives import Objective
from nas.pareto_fronts import pareto_fronts, read_objectives
from nas.settings import POINT_COLUMNS
from nas.statistics.bootstrap import mean
from search_spaces.errors import InvalidInput

FLOPS_AND_ACCURACY = (Objective.VAL_ACCURACY, Objective.INFERENCE_FLOPS)


def table(rows):
    """Trials from (run, number, architecture, accuracy, FLOPs), all complete."""
    columns = ["run", "number", "architecture_id", "val_accuracy", "inference_flops"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["num_parameters"] = frame["inference_flops"] // 10
    frame[["kind", "status", "depth", "seed"]] = "architecture", "complete", 2, 99
    types = {"num_parameters": "Int64", "inference_flops": "Int64", "val_accuracy": "float64"}
    return frame.astype(types)


RUNS = pd.DataFrame(
    [("s", 0, "grid", 0), ("s", 1, "grid", 1), ("s", 2, "tpe", 0), ("s", 3, "tpe", 1)],
    columns=["study", "run", "label", "seed"],
)
TRIALS = table(
    [
        (0, 0, "a", 0.5, 100),
        (0, 1, "b", 0.8, 400),
        (0, 2, "c", 0.4, 200),  # worse than a in both
        (0, 3, "a", 0.5, 100),  # answered from the record
        (1, 0, "b", 0.7, 400),
        (2, 0, "d", 0.9, 200),
        (2, 1, "a", 0.5, 100),
    ]
)


NO_POINTS = pd.DataFrame(columns=[*POINT_COLUMNS])


def test_a_network_with_settings_is_a_point_at_each():
    """Of tpe's d: half of its FLOPs at 0.7, which beats grid's b of seed 1 and is on the joint front."""
    rows = [
        (2, 0, "own", "validation", "p=1", 100.0, 0.7),
        (2, 0, "own", "validation", "last exit", 200.0, 0.9),
        (2, 0, "own", "test", "p=1", 1.0, 1.0),
        (2, 0, "delivered", "validation", "p=1", 1.0, 1.0),
    ]
    fronts = pareto_fronts(RUNS, TRIALS, pd.DataFrame(rows, columns=[*POINT_COLUMNS]), FLOPS_AND_ACCURACY)
    of_tpe = fronts.points[fronts.points["label"] == "tpe"]
    columns = ["number", "architecture_id", "setting", "inference_flops", "val_accuracy", "on_joint_front"]
    assert of_tpe[columns].to_numpy().tolist() == [[0, "d", "p=1", 100, 0.7, True], [0, "d", "", 200, 0.9, True]]


def test_fronts_and_volumes_by_hand():
    """Losses of grid, seed 0: (0.5, 1/4), (0.2, 1); seed 1: (0.3, 1). Of tpe, seed 0: (0.1, 1/2), (0.5, 1/4)."""
    fronts = pareto_fronts(RUNS, TRIALS, NO_POINTS, FLOPS_AND_ACCURACY)
    assert fronts.reference == {"val_accuracy": 0.0, "inference_flops": 400.0}
    grid, tpe = fronts.methods
    assert (grid.label, grid.num_runs, grid.num_scored, grid.num_points, grid.num_joint) == ("grid", 2, 2, 2, 1)
    assert (tpe.label, tpe.num_runs, tpe.num_scored, tpe.num_points, tpe.num_joint) == ("tpe", 2, 1, 2, 2)
    assert grid.hypervolume.value == pytest.approx((0.5 * 0.75 + 0) / 2)
    assert grid.hypervolume == mean([[0.5 * 0.75, 0.0]]), "with the interval of the mean over runs"
    assert tpe.hypervolume.value == pytest.approx(0.5 * 0.75 + 0.4 * 0.5)
    assert tpe.hypervolume.low is None
    points = fronts.points[["label", "seed", "number", "architecture_id", "on_joint_front"]].to_numpy().tolist()
    assert points == [
        ["grid", 0, 0, "a", True],
        ["grid", 0, 1, "b", False],
        ["tpe", 0, 1, "a", True],
        ["tpe", 0, 0, "d", True],
    ]


def test_three_objectives_and_two_sizes():
    both = pareto_fronts(RUNS, TRIALS, NO_POINTS, tuple(Objective))
    assert both.methods[1].hypervolume.value == pytest.approx(0.5 * 0.75**2 + 0.9 * 0.5**2 - 0.5 * 0.5**2)
    sizes = pareto_fronts(RUNS, TRIALS, NO_POINTS, (Objective.INFERENCE_FLOPS, Objective.NUM_PARAMETERS))
    assert [method.num_points for method in sizes.methods] == [1, 1]


def test_only_networks_that_were_trained_to_the_end_count():
    trials = TRIALS.copy()
    trials.loc[5, "status"] = "pruned"
    assert [method.num_points for method in pareto_fronts(RUNS, trials, NO_POINTS, FLOPS_AND_ACCURACY).methods] == [
        2,
        1,
    ]
    trials.loc[5, ["status", "kind"]] = "complete", "final"
    assert [method.num_points for method in pareto_fronts(RUNS, trials, NO_POINTS, FLOPS_AND_ACCURACY).methods] == [
        2,
        1,
    ]
    trials.loc[5, "kind"] = "continuation"
    assert [method.num_points for method in pareto_fronts(RUNS, trials, NO_POINTS, FLOPS_AND_ACCURACY).methods] == [
        2,
        2,
    ]


def test_a_study_without_networks_has_empty_fronts():
    fronts = pareto_fronts(RUNS, TRIALS.iloc[:0], NO_POINTS, FLOPS_AND_ACCURACY)
    assert [(method.num_points, method.hypervolume) for method in fronts.methods] == [(0, None), (0, None)]
    assert json.loads(json.dumps(fronts.document()))["points"] == []
    assert list(fronts.tables())


def test_objectives_are_read_from_their_names():
    assert read_objectives("val_accuracy, num_parameters") == (Objective.VAL_ACCURACY, Objective.NUM_PARAMETERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("val_accuracy", "objectives: must be at least 2 different ones of"),
        ("val_accuracy,val_accuracy", "objectives: must be at least 2 different ones of"),
        ("val_accuracy,speed", "must be some of val_accuracy, inference_flops, num_parameters, got 'speed'"),
    ],
)
def test_wrong_objectives_are_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        read_objectives(text)
