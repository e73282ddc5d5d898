"""Search over exit thresholds: fitness against loops over inputs, and optima that enumeration knows."""

import itertools
import math

import pytest
import torch

from controllers import make_controller
from controllers.thresholds import CachedExits, search, seeded_evolution
from search_spaces.dynamic.exit_rules import ExitRule, confidence
from search_spaces.dynamic.threshold_space import ThresholdSpace, quantiles

EXITS, BATCH, CLASSES = 3, 80, 4
FLOPS = (10, 25, 40)
PRICE = 0.4


def cached(seed):
    """Logits that are surer, and more often right, the later the exit."""
    generator = torch.Generator().manual_seed(seed)
    y_B = torch.randint(CLASSES, (BATCH,), generator=generator)
    y_EBK = torch.randn(EXITS, BATCH, CLASSES, generator=generator, dtype=torch.float64)
    for exit_ in range(EXITS):
        y_EBK[exit_, torch.arange(BATCH), y_B] += 1 + exit_
    return CachedExits(y_EBK=y_EBK, y_B=y_B, flops=FLOPS)


def fitness_by_hand(exits, thresholds):
    correct = spent = 0
    for index, label in enumerate(exits.y_B.tolist()):
        for exit_ in range(EXITS):
            powers = [math.exp(y) for y in exits.y_EBK[exit_, index].tolist()]
            sure = max(powers) / sum(powers)
            if exit_ == EXITS - 1 or sure >= thresholds[exit_]:
                correct += powers.index(max(powers)) == label
                spent += FLOPS[exit_]
                break
    return correct / BATCH - PRICE * spent / BATCH / FLOPS[-1]


def space_of(exits, number):
    return ThresholdSpace(num_exits=EXITS, values=quantiles(confidence(exits.y_EBK[:-1]), number))


@pytest.mark.parametrize("thresholds", [(0.5, 0.9), (0.8, 0.4), (0.0, 2.0), (2.0, 2.0)])
def test_fitness_is_accuracy_less_what_all_flops_are_worth(thresholds):
    exits = cached(0)
    rule = ExitRule(kind="confidence", thresholds=thresholds)
    assert exits.fitness(rule, price=PRICE) == pytest.approx(fitness_by_hand(exits, thresholds))


@pytest.mark.parametrize("seed", range(5))
def test_evolution_finds_the_best_of_all_thresholds(seed):
    exits = cached(seed)
    space = space_of(exits, 20)
    best = max(fitness_by_hand(exits, pair) for pair in itertools.product(space.values, repeat=2))
    found = search(seeded_evolution(space, seed=seed), exits, price=PRICE, num_evaluations=200)
    assert fitness_by_hand(exits, found.thresholds) == pytest.approx(best)


def test_a_grid_ends_and_its_best_point_is_found():
    exits = cached(1)
    space = space_of(exits, 9)
    best = max(fitness_by_hand(exits, pair) for pair in itertools.product(space.values, repeat=2))
    found = search(make_controller("grid", {}, space=space, seed=0), exits, price=PRICE, num_evaluations=1000)
    assert fitness_by_hand(exits, found.thresholds) == pytest.approx(best)


def test_the_first_of_equals_is_returned():
    """Without a price, inputs that never leave and those that leave at an exit with the same answers are as good."""
    y_EBK = cached(0).y_EBK[-1:].repeat(EXITS, 1, 1)
    exits = CachedExits(y_EBK=y_EBK, y_B=cached(0).y_B, flops=FLOPS)
    space = ThresholdSpace(num_exits=EXITS, values=(0.3, 0.6, 2.0))
    found = search(make_controller("grid", {}, space=space, seed=0), exits, price=0.0, num_evaluations=9)
    assert found.thresholds == (0.3, 0.3)


def test_every_method_can_search():
    exits = cached(2)
    space = space_of(exits, 12)
    worst = min(fitness_by_hand(exits, pair) for pair in itertools.product(space.values, repeat=2))
    for method in ("random", "local_search", "tpe", "reinforce", "predictor"):
        found = search(make_controller(method, {}, space=space, seed=0), exits, price=PRICE, num_evaluations=30)
        assert fitness_by_hand(exits, found.thresholds) > worst


def test_the_search_begins_with_the_tied_grid():
    exits = cached(3)
    space = space_of(exits, 20)
    tied = [fitness_by_hand(exits, (value, value)) for value in space.values]
    found = search(seeded_evolution(space, seed=0), exits, price=PRICE, num_evaluations=len(tied))
    assert fitness_by_hand(exits, found.thresholds) == pytest.approx(max(tied))
