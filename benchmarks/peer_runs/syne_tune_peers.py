"""Syne Tune's schedulers, through its own `AskTellScheduler`, and its simulator backend for the speed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peer_runs.protocol import EDGES, Clock, Optimizer, Table
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.blackbox_repository import UserBlackboxBackend
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.config_space import choice, randint
from syne_tune.optimizer.baselines import CQR, REA, TPE, RandomSearch
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler

METRIC, SECONDS = "accuracy", "seconds"
SLEEP_S = 100.0

SCHEDULERS: dict[str, Callable[..., Any]] = {
    "random": lambda space, **given: RandomSearch(space, metrics=[METRIC], **given),
    "tpe": lambda space, **given: TPE(space, metric=METRIC, **given),
    "rea": lambda space, **given: REA(space, metric=METRIC, population_size=10, sample_size=3, **given),
    "cqr": lambda space, **given: CQR(space, metric=METRIC, **given),
}


class Asked:
    """A scheduler as an optimizer."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = AskTellScheduler(scheduler)

    def ask(self) -> Mapping[str, str]:
        self._trial = self._scheduler.ask()
        return self._trial.config

    def tell(self, accuracy: float) -> None:
        self._scheduler.tell(self._trial, {METRIC: accuracy})


def _space(table: Table) -> dict[str, Any]:
    return {edge: choice(table.operations) for edge in EDGES}


def _make(method: str, table: Table, seed: int) -> Optimizer:
    np.random.seed(seed)  # noqa: NPY002  (some of the searchers draw from the global generator)
    return Asked(SCHEDULERS[method](_space(table), do_minimize=False, random_seed=seed))


METHODS = {method: partial(_make, method) for method in SCHEDULERS}


def time_loop(table: Table, num_trials: int) -> list[tuple[float, float]]:
    """When the trials of a simulated random search on one worker were done, by both clocks.

    The simulator's own clock advances in steps; one of a typical trial's length is the fastest that we found.
    """
    times: list[tuple[float, float]] = []

    class Timed(SimulatorCallback):
        def on_trial_complete(self, trial: Any, result: dict[str, Any]) -> None:
            super().on_trial_complete(trial, result)
            times.append(clock.read())

    cells = pd.DataFrame(table.cells, columns=list(EDGES))
    shown = np.stack([table.validation, table.seconds], axis=1)[:, None, None, :]
    space = _space(table)
    blackbox = BlackboxTabular(cells, space, {"epochs": randint(1, 1)}, shown, objectives_names=[METRIC, SECONDS])
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        os.environ["SYNETUNE_FOLDER"] = folder  # else it writes into the home folder
        clock = Clock()
        Tuner(
            trial_backend=UserBlackboxBackend(blackbox, SECONDS, tuner_sleep_time=SLEEP_S),
            scheduler=RandomSearch(space, metrics=[METRIC], do_minimize=False, random_seed=0),
            stop_criterion=StoppingCriterion(max_num_trials_completed=num_trials),
            n_workers=1,
            sleep_time=0,
            callbacks=[Timed()],
            save_tuner=False,
        ).run()
    return times[:num_trials]
