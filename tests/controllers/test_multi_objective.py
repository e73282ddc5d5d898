"""Searching for several objectives: what is better, and that searching pays."""

from functools import cache

import numpy as np
import pytest

from controllers import make_controller
from controllers.objectives import Objective
from controllers.trial import Status
from nas.pareto import hypervolume
from tests.controllers.toys import Product
from tests.controllers.trials import failed, play, running, scored

LEVELS = tuple(range(8))
USEFUL = tuple(f"useful{index}" for index in range(4))
WASTED = tuple(f"wasted{index}" for index in range(4))
SPACE = Product(dict.fromkeys(USEFUL + WASTED, LEVELS))
LARGEST = 7 * 8
OBJECTIVES = ["val_accuracy", "inference_flops"]
NUM_SEEDS = 20
WINS_WANTED = 15
"""Of 20: a method no better than random search with twice the trials would win this often with p = 0.021 at most."""


def outcome(number, proposal):
    """Everything costs, but only the useful half makes the network better: the front is where nothing is wasted."""
    levels = proposal.architecture.decisions
    accuracy = sum(levels[name] for name in USEFUL) / (7 * 4)
    return scored(number, proposal, accuracy, inference_flops=sum(levels.values()))


def volume(method, num_trials, seed, **options):
    controller = make_controller(method, options, space=SPACE, seed=seed)
    trials = play(controller, num_trials, outcome)
    losses = [[1 - trial.score, trial.measurement.inference_flops / LARGEST] for trial in trials]
    return hypervolume(np.array(losses), np.ones(2))


@cache
def random_volume(num_trials, seed):
    return volume("random", num_trials, seed)


@pytest.mark.parametrize(
    ("method", "num_trials", "options"),
    [
        ("nsga2", 150, {"population": 20}),
        ("nsga3", 150, {"population": 20}),
        ("tpe", 60, {"multivariate": True}),
    ],
)
def test_beats_random_search_with_twice_the_trials(method, num_trials, options):
    options = {**options, "objectives": OBJECTIVES}
    seeds = range(NUM_SEEDS)
    wins = sum(volume(method, num_trials, seed, **options) > random_volume(2 * num_trials, seed) for seed in seeds)
    assert wins >= WINS_WANTED


def test_objectives_are_what_the_trial_measured():
    proposal = make_controller("random", {}, space=SPACE, seed=0).ask(0)
    trial = scored(0, proposal, 0.7, num_parameters=5, inference_flops=9)
    assert {objective: objective.of(trial) for objective in Objective} == {
        "val_accuracy": 0.7,
        "inference_flops": 9,
        "num_parameters": 5,
    }
    assert [objective for objective in Objective if objective.is_maximised] == ["val_accuracy"]
    assert Objective.NUM_PARAMETERS.of(failed(0, proposal)) is None
    assert Objective.VAL_ACCURACY.of(running(0, proposal)) is None


@pytest.mark.parametrize("method", ["nsga2", "nsga3", "tpe"])
def test_sizes_alone_are_minimised(method):
    controller = make_controller(method, {"objectives": ["inference_flops"]}, space=SPACE, seed=0)
    trials = play(controller, 200, outcome)
    sizes = [trial.measurement.inference_flops for trial in trials]
    assert np.mean(sizes[-30:]) < 0.7 * np.mean(sizes[:30])


@pytest.mark.parametrize("method", ["nsga2", "nsga3", "tpe"])
def test_failures_and_pruned_trials_are_no_obstacle(method):
    def mixed(number, proposal):
        if number % 4 == 3:
            return failed(number, proposal)
        return scored(number, proposal, 0.5, status=Status.PRUNED if number % 5 == 4 else Status.COMPLETE)

    options = {"objectives": [*OBJECTIVES, "num_parameters"]}
    options |= {} if method == "tpe" else {"population": 4}
    assert len(play(make_controller(method, options, space=SPACE, seed=0), 60, mixed)) == 60
