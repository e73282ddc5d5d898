"""The best under a cap, worked out by hand. A network of depth d takes 10 d FLOPs."""

import pandas as pd
import pytest

from nas.caps import TRIAL_COLUMNS, under_caps
from nas.comparison import compare
from nas.settings import KEY, POINT_COLUMNS, with_settings
from nas.store import Store
from tests.nas.comparables import Found, store_runs

GRID = Found(networks=((1, 0.5), (2, 0.6), (3, 0.55), (4, 0.7)))
RANDOM = Found(networks=((3, 0.6), (4, 0.9), (3, 0.6), (2, 0.4)))
SUPERNET = Found(networks=((0, 0.99), (4, 0.4)))


@pytest.fixture
def under(store: Store):
    methods = {"grid": [GRID, GRID], "random": [RANDOM, RANDOM], "darts": [SUPERNET, SUPERNET]}
    store_runs(store, "study", methods)
    runs = store.frame("v_compare", "study")
    trials = store.frame("trials", "study", TRIAL_COLUMNS).assign(study="study")
    points = store.frame("operating_points", "study", POINT_COLUMNS).assign(study="study")
    return lambda *caps: under_caps(runs, trials, points, compare(runs), caps)


def found(capped):
    return capped.score.accuracy and (pytest.approx(capped.score.accuracy.value), capped.depth, capped.inference_flops)


def test_the_best_network_within_the_cap_counts(under):
    tight, wide = under(30, 40)
    assert found(tight.methods["grid"]) == (0.6, 2, 20)
    assert found(tight.methods["random"]) == (0.6, 3, 30)
    assert found(wide.methods["grid"]) == (0.7, 4, 40)
    assert found(wide.methods["random"]) == (0.9, 4, 40)
    assert wide.methods["random"].score.difference.value == pytest.approx(0.2)


def test_a_run_without_a_network_under_the_cap_is_in_no_mean(under):
    """The supernet has no FLOPs of its own, and its accuracy is nobody's."""
    tight, wide = under(30, 40)
    assert (tight.methods["darts"].score.num, tight.methods["darts"].depth) == (0, None)
    assert found(wide.methods["darts"]) == (0.4, 4, 40)


def test_a_cap_below_everything_leaves_nothing(under):
    (nothing,) = under(9)
    assert {capped.score.num for capped in nothing.methods.values()} == {0}


def test_the_final_training_is_no_network_of_the_search(store: Store):
    """It would be one of depth 4, with a validation accuracy that the search never saw."""
    store_runs(store, "study", {"grid": [Found(networks=((4, 0.7),))]})
    trials = store.frame("trials", "study", TRIAL_COLUMNS).assign(study="study")
    runs = store.frame("v_compare", "study")
    trials.loc[trials["kind"] == "final", "val_accuracy"] = 0.99
    points = store.frame("operating_points", "study", POINT_COLUMNS).assign(study="study")
    (cap,) = under_caps(runs, trials, points, compare(runs), [40])
    assert cap.methods["grid"].score.accuracy.value == pytest.approx(0.7)


def test_a_network_with_settings_counts_at_each_of_them():
    trials = pd.DataFrame(
        [
            ("s", 0, 0, "architecture", 0.6, 40),
            ("s", 0, 1, "relaxation", 0.9, 50),
            ("s", 1, 0, "architecture", 0.5, 10),
        ],
        columns=[*KEY, "kind", "val_accuracy", "inference_flops"],
    )
    rows = [
        ("s", 0, 1, "own", "validation", "p=1", 20.5, 0.8),
        ("s", 0, 1, "own", "test", "p=1", 20.0, 0.99),
        ("s", 0, 1, "delivered", "validation", "p=1", 20.0, 0.99),
    ]
    points = pd.DataFrame(rows, columns=["study", *POINT_COLUMNS])
    columns = ["run", "number", "kind", "val_accuracy", "inference_flops", "setting"]
    assert with_settings(trials, points)[columns].to_numpy().tolist() == [
        [0, 0, "architecture", 0.6, 40, ""],
        [0, 1, "relaxation", 0.9, 50, ""],
        [0, 1, "architecture", 0.8, 20.5, "p=1"],
        [1, 0, "architecture", 0.5, 10, ""],
    ]
