"""SCAN's genetic search over exit thresholds against grids and random search, at the same number of evaluations.

    python benchmarks/thresholds.py [--task digits mnist fashion] [--seeds 20] [--evaluations 200] [--prices 0.1 0.3]

For every seed, a chain with five exits is trained, and the logits of all exits on validation data are kept; from then
on nothing is computed but what thresholds would do. Fitness is the accuracy less the price of the mean FLOPs. What is
found is also scored on test data. The methods:

- grid, tied: one threshold for all exits, as many values as there are evaluations;
- grid, untied: as many values for every exit as the evaluations allow, at equal steps of rank;
- random: thresholds drawn from the values of the tied grid;
- evolution: `controllers.thresholds.seeded_evolution` over the same values.

Must hold: evolution is at least as good as each of the others in at least 15 of 20 seeds. MNIST and Fashion-MNIST need
their files in the folder NAS_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import mean
from typing import Any

import torch
from as_markdown import head, row
from depth_tasks import FASHION, images
from machine import describe_machine
from trained import train_supernet

from controllers.controller import Controller
from controllers.grid import Grid
from controllers.random import Random
from controllers.thresholds import CachedExits, search, seeded_evolution
from search_spaces.dynamic.exit_rules import confidence
from search_spaces.dynamic.operating_point import exit_flops
from search_spaces.dynamic.threshold_space import DIGITS, ThresholdSpace, quantiles
from search_spaces.relaxations.multi_exit import MultiExitNetwork
from workers.tasks import Split, make_task
from workers.training import Training

TASKS: dict[str, Mapping[str, Any]] = {
    "digits": {"name": "digits"},
    "mnist": images("mnist63k.npz", 2000, test_size=3000),
    "fashion": images("fashion_mnist_train_a.npz", 2000, **FASHION),
}
SPACE = {"family": "mlp", "depth": {"min": 0, "max": 4}, "width": 16, "ops": ["residual"]}
TRAINING = Training(epochs=20, batch_size=64)
METHODS = ("grid, tied", "grid, untied", "random", "evolution")


def trained(task: Mapping[str, Any], seed: int) -> tuple[CachedExits, CachedExits]:
    """What one network says on validation and on test data."""
    made = make_task(task)
    data = made.load()
    network, _ = train_supernet({"name": "multi_exit"}, space=SPACE, task=task, training=TRAINING, seed=seed)
    assert isinstance(network, MultiExitNetwork)

    @torch.no_grad()
    def cache(split: Split) -> CachedExits:
        logits = torch.stack(list(network.exit_logits(split.x)))
        return CachedExits(y_EBK=logits, y_B=split.y, flops=exit_flops(network, data.input_shape))

    return cache(data.validation), cache(made.load_test())


def controllers(validation: CachedExits, *, seed: int, num_evaluations: int) -> dict[str, Controller]:
    """Every method, over thresholds that this network can tell apart."""
    num_exits = len(validation.flops)
    values = quantiles(confidence(validation.y_EBK[:-1]), num_evaluations)
    per_exit = int(num_evaluations ** (1 / (num_exits - 1)))
    few = tuple(values[round(len(values) * rank / (per_exit + 1))] for rank in range(1, per_exit + 1))
    space = ThresholdSpace(num_exits=num_exits, values=values)
    methods = (
        Grid(space=space, seed=seed, over=DIGITS, tied=True),
        Grid(space=ThresholdSpace(num_exits=num_exits, values=few), seed=seed),
        Random(space=space, seed=seed),
        seeded_evolution(space, seed=seed),
    )
    return dict(zip(METHODS, methods, strict=True))


def compare(task: str, seeds: int, num_evaluations: int, prices: list[float]) -> None:
    """One table: every method at every price, in the mean over seeds."""
    networks = [trained(TASKS[task], seed) for seed in range(seeds)]
    for price in prices:
        fitness: dict[str, list[float]] = {name: [] for name in METHODS}
        on_test: dict[str, list[float]] = {name: [] for name in METHODS}
        spent: dict[str, list[float]] = {name: [] for name in METHODS}
        for seed, (validation, test) in enumerate(networks):
            methods = controllers(validation, seed=seed, num_evaluations=num_evaluations)
            for name, controller in methods.items():
                rule = search(controller, validation, price=price, num_evaluations=num_evaluations)
                fitness[name].append(validation.fitness(rule, price=price))
                on_test[name].append(test.fitness(rule, price=price))
                spent[name].append(test.point(rule).mean_flops / max(test.flops))
        for name in METHODS:
            pairs = zip(fitness["evolution"], fitness[name], strict=True)
            as_good = "" if name == "evolution" else f"{sum(one >= other for one, other in pairs)} of {seeds}"
            cells = (f"{mean(of_name[name]):.4f}" for of_name in (fitness, on_test))
            row(task, str(price), name, *cells, f"{mean(spent[name]):.2f}", as_good)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", choices=TASKS, default=["digits"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--prices", type=float, nargs="+", default=[0.1, 0.3])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    print(f"{arguments.evaluations} evaluations, mean over seeds 0 to {arguments.seeds - 1}\n")
    names = ("task", "price", "method", "fitness", "on test", "share of FLOPs on test", "evolution at least as good")
    head(*names)
    for task in arguments.task:
        compare(task, arguments.seeds, arguments.evaluations, arguments.prices)


if __name__ == "__main__":
    main()
