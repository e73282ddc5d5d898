"""What speaks against a comparison, and what does not."""

import pandas as pd
import pytest

from nas.objections import objections
from tests.nas.test_merging import runs_of

SIX = range(6)


def study(name, labels=("grid", "random"), seeds=SIX, *, unit="flops", budget=1e9, **budgets):
    runs = runs_of(name, labels, seeds)
    return runs.assign(unit=unit, budget=[budgets.get(label, budget) for label in runs["label"]])


@pytest.mark.parametrize(
    ("runs", "reasons"),
    [
        ([study("a")], []),
        ([study("a", ["grid"])], []),
        ([study("a", random=2e9)], ["have one budget, those of a have 2: 1 GFLOPs for grid; 2 GFLOPs for random"]),
        ([study("a", seeds=range(5))], ["fewer than 6 seeds", "grid cannot tell more than chance: 5 seeds for random"]),
        ([study("a", seeds=[0])], ["1 seed for random"]),
        ([study("a", ["grid"], seeds=[0, 1])], ["2 seeds for grid"]),
        (
            [study("a", ["grid", "random", "darts"], seeds=[0, 1], darts=5e9)],
            ["1 GFLOPs for grid, random; 5 GFLOPs for darts", "2 seeds for random, darts"],
        ),
        ([study("a"), study("b", budget=5e9)], []),  # tasks of their own
        ([study("a", seeds=[0, 1, 2]), study("b", seeds=[0, 1, 2])], []),  # six pairs in all
        ([study("a", seeds=[0, 1, 2]), study("b", seeds=[0, 1])], ["5 seeds for random"]),
    ],
)
def test_what_is_objected_to(runs, reasons):
    found = " / ".join(objections(pd.concat(runs), "grid"))
    assert [reason for reason in reasons if reason not in found] == []
    assert bool(found) == bool(reasons)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"budget": 2e9}, "1 GFLOPs for grid in a, random in a; 2 GFLOPs for grid in b, random in b"),
        ({"unit": "trials", "budget": 40}, "1 GFLOPs for grid in a, random in a; 40 trials for grid in b, random in b"),
    ],
)
def test_studies_of_one_task_need_one_budget(other, reason):
    runs = pd.concat([study("a"), study("b", seeds=range(6, 12), **other)]).assign(task="a + b")
    (objection,) = objections(runs, "grid")
    assert reason in objection


def test_seeds_count_if_the_baseline_has_them_too():
    grid, random = study("a", ["grid"], range(6)), study("a", ["random"], range(3, 12))
    (objection,) = objections(pd.concat([grid, random.assign(run=range(6, 15))]), "grid")
    assert "3 seeds for random" in objection


def test_a_failed_run_is_no_objection():
    assert objections(study("a").assign(phase="failed", delivered_test_accuracy=None), "grid") == ()


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        (["grid", "random"], None),
        (["grid", {"method": "random"}], None),
        (["grid", {"method": "evolution", "label": "random"}], '{"method":"evolution"} in b'),
        (["grid", {"method": "random", "replace": False}], '{"method":"random","replace":false} in b'),
    ],
)
def test_a_label_stands_for_one_method(methods, reason):
    runs = pd.concat([study("a"), study("b")])
    found = objections(runs, "grid", {"a": {"methods": ["grid", "random"]}, "b": {"methods": methods}})
    assert len(found) == (reason is not None)
    assert reason is None or reason in found[0]
