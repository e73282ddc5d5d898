"""What the service adds to a trial: no-op trials through study, ledger and store, against bare Ray Tune.

    python benchmarks/orchestration.py [--trials 1000] [--long 4000] [--workers 1] [--repeats 3]

Both sides run in one process on one local Ray, in turns, with reused actors and the same settings of Ray; the ratio is
taken pair by pair. The first `WARM_UP` trials of each are not counted. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import ray  # after nas.runner, which sets Ray's environment
from machine import describe_machine
from ray import tune
from ray.tune.search import Searcher

from controllers.cost import Charge, ChargeKind, Cost
from controllers.trial import SCORE, Measurement
from nas import Plan, open_store, parse_spec
from nas.driver import Driver
from nas.runner import run_study, start_local
from nas.study import Study
from search_spaces.values import dump

WARM_UP = 50


def spec(num_trials: int, workers: int) -> Any:
    """A random search with distinct architectures, whose trials cost one unit of budget each."""
    return parse_spec(
        {
            "name": "orchestration",
            "task": {"name": "spiral", "train_size": 64, "validation_size": 16},
            "space": {
                "family": "mlp",
                "depth": {"min": 4, "max": 12},
                "width": 8,
                "ops": ["dense", "residual"],
                "block_width": [2, 4, 8, 16],
            },
            "methods": ["random"],
            "seeds": 1,
            "budget": {"trials": num_trials},
            "training": {"epochs": 1},
            "resources": {"workers": workers},
            "spend_rest": False,
        }
    )


def no_op(config: Mapping[str, Any]) -> None:
    """A trial that measures nothing, reported as the service's own trainable reports."""
    if "warm_up" in config:
        from workers.trainable import train_job

        train_job(config)
        return
    charges = (Charge(kind=ChargeKind.TRAIN, cost=Cost(epochs=1)),)
    measurement = Measurement(metrics={SCORE: 0.5}, charges=charges, epochs=1, num_parameters=1, inference_flops=1)
    text = json.dumps(dump(measurement))
    tune.report({"epochs": "[]", "epoch": 1, SCORE: 0.5, "measurement": text, "done": True})


def time_service(num_trials: int, workers: int) -> list[float]:
    """Completion times of the trials, in seconds from the first."""
    times: list[float] = []
    plan = Plan(spec(num_trials, workers))
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/nas.db") as store:
        study_id = store.create_study("orchestration", {}, plan.runs, {})
        study = Study(plan)
        driver = Driver(study, store, study_id, Path(folder) / "trials")
        finish = driver.finish

        def timed(*args: Any, **kwargs: Any) -> None:
            finish(*args, **kwargs)
            times.append(time.perf_counter())

        driver.finish = timed  # type: ignore[method-assign]
        run_study(driver, scratch=Path(folder), trainable=no_op)
    return times[:num_trials]


def time_bare(num_trials: int, workers: int) -> list[float]:
    """The same from Ray Tune alone: the shortest searcher and trainable, the result the trials have in common."""
    times: list[float] = []

    class Bare(Searcher):
        started = 0
        running = 0

        def suggest(self, trial_id: str) -> Any:
            if self.started == num_trials:
                return Searcher.FINISHED
            if self.running == workers:
                return None
            self.started += 1
            self.running += 1
            return {"number": self.started}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            self.running -= 1
            times.append(time.perf_counter())

        def save(self, path: str) -> None: ...
        def restore(self, path: str) -> None: ...
        def __getstate__(self) -> dict[str, Any]:
            return {}

    def trial(_config: Mapping[str, Any]) -> None:
        tune.report({SCORE: 0.5})

    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            tune_config=tune.TuneConfig(search_alg=Bare(), num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(name="bare", storage_path=folder, verbose=0),
        ).fit()
    return times


def rate(times: list[float]) -> float:
    """Trials per second after the warm-up."""
    return (len(times) - 1 - WARM_UP) / (times[-1] - times[WARM_UP])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--long", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    start_local(spec(1, arguments.workers))
    size = (arguments.trials, arguments.workers)
    pairs = [(rate(time_bare(*size)), rate(time_service(*size))) for _ in range(arguments.repeats)]
    ratios = sorted(service / bare for bare, service in pairs)
    bare, service = (median(rates) for rates in zip(*pairs, strict=True))
    long = time_service(arguments.long, arguments.workers)
    early, late = long[499] - long[249], long[-1] - long[-251]
    print(describe_machine())
    print(f"Workers: {arguments.workers}.\n")
    print("| measure | value | must be |\n|---|---|---|")
    print(f"| bare Ray Tune, {arguments.trials} trials | {bare:.1f}/s | |")
    print(f"| through the service, {arguments.trials} trials | {service:.1f}/s | |")
    print(f"| service / bare, median (min, max) | {median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f}) | >= 0.8 |")
    print(f"| last 250 of {arguments.long} trials / trials 250 to 500 | {late / early:.2f} | <= 1.3 |")
    ray.shutdown()


if __name__ == "__main__":
    main()
