"""How often the intervals of a comparison hold the truth, which should be 95 times in 100.

    python benchmarks/coverage.py [--samples 10000] [--resamples 1999] [--seed 0]

Draws samples from distributions whose truth is known, and counts. Prints a Markdown table, and exits with 1 if a
bootstrap interval is outside of 94 to 96 % by more than two standard errors of the count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
from scipy.stats import trim_mean

from nas.statistics.bootstrap import Resampling, interquartile_mean, mean
from nas.statistics.improvement import probability_of_improvement

NUMS = (6, 10, 20)
OFFSETS = (0.0, 0.5, 3.0)
"""Places of three tasks: two that overlap, and one of another difficulty."""
ANYWHERE = (-np.inf, np.inf)
TRUTH_SIZE = 4_000_000

Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.standard_normal(size)


def skewed(rng: np.random.Generator, size: int) -> np.ndarray:
    """Skewness -1, as accuracies lean."""
    return 2 - rng.gamma(4, size=size) / 2


def percentile(rng: np.random.Generator, x: np.ndarray) -> tuple[float, float]:
    """The interval that this project does not use."""
    means = x[rng.integers(len(x), size=(2000, len(x)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def shares(draw: Draw, num: int, num_samples: int, num_resamples: int, seed: int) -> list[float]:
    """Of samples whose interval holds the truth: percentile, mean, difference, IQM, IQM over tasks, P(better) twice."""
    rng = np.random.default_rng((seed, num))
    large = draw(rng, TRUTH_SIZE)
    iqm = trim_mean(large, 0.25)
    iqm_over_tasks = trim_mean(np.concatenate([draw(rng, TRUTH_SIZE) + offset for offset in OFFSETS]), 0.25)
    one, other = np.array_split(large, 2)
    better, better_wide = float((one + 1 > other).mean()), float((3 * one + 2 > other).mean())
    held = np.zeros(7)
    for number in range(num_samples):
        usual = {"bounds": ANYWHERE, "resampling": Resampling(most=num_resamples, least=num_resamples, seed=number)}
        x, y, shared = draw(rng, num), draw(rng, num), rng.normal(size=num)
        estimates = [
            (mean([x], **usual), 0.0),
            (mean([(shared + x) - (shared + y / 2)], **usual), 0.0),
            (interquartile_mean([x], **usual), iqm),
            (interquartile_mean([draw(rng, num) + offset for offset in OFFSETS], **usual), iqm_over_tasks),
            (probability_of_improvement([x + 1], [y]), better),
            (probability_of_improvement([3 * x + 2], [y]), better_wide),
        ]
        low, high = percentile(rng, x)
        held += [low <= 0 <= high, *(estimate.low <= truth <= estimate.high for estimate, truth in estimates)]
    return list(held / num_samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=1_999)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"{arguments.samples} samples each, 95 % intervals; % that hold the truth.\n")
    names = ["percentile, mean", "mean", "difference", "IQM", "IQM, 3 tasks", "P(better)", "P(better), spread 3 : 1"]
    print(f"| runs | distribution | {' | '.join(names)} |")
    print("|---" * (2 + len(names)) + "|")
    worst = 0.0
    for num in NUMS:
        for draw in (normal, skewed):
            row = shares(draw, num, arguments.samples, arguments.resamples, arguments.seed)
            print(f"| {num} | {draw.__name__} | {' | '.join(f'{100 * share:.1f}' for share in row)} |", flush=True)
            worst = max(worst, *(abs(share - 0.95) for share in row[1:5]))
    sys.exit(1 if worst > 0.01 + 2 * np.sqrt(0.05 * 0.95 / arguments.samples) else 0)


if __name__ == "__main__":
    main()
