"""What the adapter adds to Optuna: asking and telling through a controller, against Optuna's own in-memory loop.

    python benchmarks/optuna_adapter.py [--trials 300] [--gp-trials 60] [--repeats 7] [--samplers tpe gp ...]

Both sides search the same space of six decisions with the same sampler and the same options, in one process and in
turns; the ratio is taken pair by pair. Optuna's sampler is seeded before every trial, outside of its time, as the
adapter seeds its own: what a proposal costs depends on what was proposed before, so two different searches cannot be
compared. Times are of the processor, with one thread: the machine may have other work. The Gaussian process is slow and
gets fewer trials. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import optuna
import torch
from machine import describe_machine

from controllers import make_controller
from controllers.optuna import NUM_SEEDS, generators
from controllers.trial import SCORE, Measurement, Status, Trial
from search_spaces.architecture import Architecture
from search_spaces.space import Choose

NAMES = tuple(f"decision{index}" for index in range(6))
NUM_OPTIONS = 8
LIMIT = 1.2


class Toy:
    """Six decisions with eight options each."""

    input_shape = (1,)
    num_classes = 2

    def compose(self, choose: Choose) -> Architecture:
        return Architecture(depth=1, form={name: choose(name, range(NUM_OPTIONS)) for name in NAMES})

    def build(self, architecture: Architecture) -> Any:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A method, and the sampler that it wraps."""

    sampler: Callable[[int], optuna.samplers.BaseSampler]
    options: Mapping[str, Any] = field(default_factory=dict)


CONTESTS = {
    "tpe": Contest(sampler=lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "gp": Contest(sampler=lambda seed: optuna.samplers.GPSampler(seed=seed)),
    "nsga2": Contest(sampler=lambda seed: optuna.samplers.NSGAIISampler(seed=seed)),
    "qmc": Contest(sampler=lambda seed: optuna.samplers.QMCSampler(scramble=True, seed=seed)),
    "brute_force": Contest(sampler=lambda seed: optuna.samplers.BruteForceSampler(seed=seed)),
}


def score(values: Sequence[int]) -> float:
    """A smooth objective in [0, 1] with one optimum."""
    return 1 - sum((value - index) ** 2 for index, value in enumerate(values)) / (len(values) * NUM_OPTIONS**2)


def time_adapter(method: str, num_trials: int, seed: int) -> float:
    """Seconds for all trials."""
    controller = make_controller(method, CONTESTS[method].options, space=Toy(), seed=seed)
    start = time.process_time()
    for number in range(num_trials):
        proposal = controller.ask(number)
        assert proposal is not None
        assert proposal.architecture is not None
        metrics = {SCORE: score(list(proposal.architecture.form.values()))}
        measurement = Measurement(metrics=metrics, charges=(), epochs=1, num_parameters=1, inference_flops=1)
        controller.tell(
            Trial(number=number, proposal=proposal, epochs=1, seed=0, status=Status.COMPLETE, measurement=measurement)
        )
    return time.process_time() - start


def time_optuna(method: str, num_trials: int, seed: int) -> float:
    """Seconds for all trials."""
    sampler = CONTESTS[method].sampler(seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    seconds = 0.0
    for number in range(num_trials):
        for generator in generators(sampler):
            generator.rng.seed(int(np.random.default_rng((seed, number)).integers(NUM_SEEDS)))
        start = time.process_time()
        trial = study.ask()
        study.tell(trial, score([trial.suggest_categorical(name, range(NUM_OPTIONS)) for name in NAMES]))
        seconds += time.process_time() - start
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--gp-trials", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--samplers", nargs="+", choices=CONTESTS, default=list(CONTESTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    print(f"{describe_machine()}, optuna {optuna.__version__}\n")
    print("| sampler | trials | Optuna, ms per trial | adapter, ms per trial | ratio, median (min, max) | must be |")
    print("|---|---|---|---|---|---|")
    for method in arguments.samplers:
        num_trials = arguments.gp_trials if method == "gp" else arguments.trials
        pairs = [
            (time_optuna(method, num_trials, seed), time_adapter(method, num_trials, seed))
            for seed in range(arguments.repeats + 1)
        ][1:]  # the first pair imports
        ratios = sorted(adapter / own for own, adapter in pairs)
        own, adapter = (1000 * median(seconds) / num_trials for seconds in zip(*pairs, strict=True))
        spread = f"{median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"
        print(f"| {method} | {num_trials} | {own:.2f} | {adapter:.2f} | {spread} | <= {LIMIT} |", flush=True)


if __name__ == "__main__":
    main()
