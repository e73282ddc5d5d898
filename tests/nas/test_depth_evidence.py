"""The evidence about learned depth is complete in itself: pairs, equal budgets, ledgers that add up."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

EVIDENCE = Path(__file__).parents[2] / "docs" / "learned_depth.csv"
SEEDS = (10, 20, 30)
"""Of a method on a task: all have the first ten; some have more."""


@pytest.fixture(scope="module")
def runs():
    with EVIDENCE.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_method_of_a_task_has_the_first_seeds_and_the_same_budget(runs):
    seeds, budgets = defaultdict(list), defaultdict(set)
    for run in runs:
        seeds[run["task"], run["share"], run["label"]].append(int(run["seed"]))
        budgets[run["task"], run["share"]].add(int(run["budget_flops"]))
    assert all(sorted(found) in [list(range(count)) for count in SEEDS] for found in seeds.values())
    assert all(len(found) == 1 for found in budgets.values())


def test_no_run_spent_more_than_its_budget(runs):
    assert all(0 < int(run["spent_flops"]) <= int(run["budget_flops"]) for run in runs)


def test_controls_stand_beside_every_method(runs):
    labels = defaultdict(set)
    for run in runs:
        labels[run["task"], run["share"]].add(run["label"])
    controls = {"grid-ascending", "grid-coarse", "grid-shuffled", "grid-halving", "fixed-1", "fixed-6", "fixed-12"}
    assert all(controls <= found for found in labels.values())
