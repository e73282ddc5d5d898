"""Optuna's samplers, asked and told through a study in memory, with Optuna's own defaults unless given."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from peer_runs.protocol import EDGES, Clock, Optimizer, Table

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "nsga2": lambda seed: NSGAIISampler(population_size=10, seed=seed),
    "gp": lambda seed: GPSampler(seed=seed),
}


class Asked:
    """A study of Optuna's as an optimizer."""

    def __init__(self, sampler: BaseSampler, operations: list[str]) -> None:
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._space = {edge: optuna.distributions.CategoricalDistribution(operations) for edge in EDGES}

    def ask(self) -> Mapping[str, str]:
        self._trial = self._study.ask(self._space)
        return self._trial.params

    def tell(self, accuracy: float) -> None:
        self._study.tell(self._trial, accuracy)


def _make(method: str, table: Table, seed: int) -> Optimizer:
    return Asked(SAMPLERS[method](seed), table.operations)


METHODS = {method: partial(_make, method) for method in SAMPLERS}


def time_loop(table: Table, num_trials: int) -> list[tuple[float, float]]:
    """When the trials of `study.optimize` with TPE on an SQLite file were done, by both clocks."""
    times: list[tuple[float, float]] = []

    def objective(trial: optuna.Trial) -> float:
        row = table.row({edge: trial.suggest_categorical(edge, table.operations) for edge in EDGES})
        return table.validation[row]

    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        study = optuna.create_study(
            storage=f"sqlite:///{folder}/optuna.db", direction="maximize", sampler=TPESampler(seed=0)
        )
        study.optimize(objective, num_trials, callbacks=[lambda *_: times.append(clock.read())])
    return times


optuna.logging.set_verbosity(optuna.logging.WARNING)
