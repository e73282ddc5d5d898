"""What is known of the relaxations of depth, once more: where they fail, and what mends it.

    python benchmarks/known_results.py [--seeds 6] [--only layer_select fusion darts]

Single trainings without a study: a supernet per row and seed, and ordinary trainings of every depth to compare with.
The tasks are none of `learned_depth.py`. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import fmean, stdev
from typing import Any

import torch
from as_markdown import head, row
from machine import describe_machine

from controllers.supernets import supernet_proposal
from controllers.trial import SCORE, Measurement, Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.readings import SCALED_WEIGHT
from workers.job import Job
from workers.tasks import make_task
from workers.train import run
from workers.training import Training

TASKS: Mapping[str, Mapping[str, Any]] = {
    "spiral, 2 turns": {"name": "spiral", "turns": 2, "train_size": 512, "validation_size": 256},
    "digits": {"name": "digits", "train_size": 400, "validation_size": 400},
}
DEEPEST = 8
SPACE = {"family": "mlp", "depth": {"min": 1, "max": DEEPEST}, "width": 16}
TRAINING = Training(epochs=30, batch_size=32)
STARTS = (1.5, 4.5, 7.5)
MIXES = ("linear", "softmax", "sparsemax", "entmax15")
DARTS: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "second order": {"order": "second"},
    "independent weights (sigmoid)": {"weights": "sigmoid"},
    "Gumbel draws": {"weights": "gumbel"},
    "warm-up, half of the epochs": {"warmup_epochs": TRAINING.epochs // 2},
    "dropout on shallow exits": {"skip_dropout": 0.7},
    "a target for the expected FLOPs": {"flops_target": 0.7},
    "early stop, 4 skips": {"max_skips": 4},
    "early stop, eigenvalue": {"eigenvalue_ratio": 1.3},
    "chosen by removal": {"select": "removal"},
    "chosen by each level's own loss": {"select": "level_loss"},
}


def main() -> None:
    sections = {"layer_select": layer_select, "fusion": fusion, "darts": darts}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--only", nargs="+", choices=list(sections), default=list(sections))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{describe_machine()}; seeds 0 to {arguments.seeds - 1}\n")
    ordinary(range(arguments.seeds))
    for name in arguments.only:
        sections[name](range(arguments.seeds))


def ordinary(seeds: Sequence[int]) -> None:
    """Validation accuracy of every depth, trained alone."""
    print("### Ordinary training, validation accuracy in %\n")
    head("task", *(f"depth {depth}" for depth in range(1, DEEPEST + 1)))
    for task in TASKS:
        row(task, *(spread([100 * accuracy(task, depth, seed) for seed in seeds]) for depth in range(1, DEEPEST + 1)))


def layer_select(seeds: Sequence[int]) -> None:
    """Where k ends, by where it starts: the centre of the selected levels."""
    print("\n### LayerSelect as posted: where the selector ends\n")
    head("task", "c", *(f"from {start}" for start in STARTS))
    for task in TASKS:
        for curvature in (1.0, 0.25):
            fields = {"name": "layer_select", "curvature": curvature}
            ends = [[centre(supernet(task, seed, **fields, initial_k=start)) for seed in seeds] for start in STARTS]
            row(task, f"{curvature:g}", *(spread(of_start) for of_start in ends))


def fusion(seeds: Sequence[int]) -> None:
    """How concentrated the weights end, sizes of hidden states included."""
    print("\n### Layer fusion: greatest share of |w| rms(h), and weights that are not zero, of 9\n")
    head("task", *(f"{mix}: {what}" for mix in MIXES for what in ("share", "not zero", "level")))
    for task in TASKS:
        cells = []
        for mix in MIXES:
            outcomes = [supernet(task, seed, name="layer_fusion", mix=mix) for seed in seeds]
            sizes = [outcome.readings[SCALED_WEIGHT] for outcome in outcomes]
            cells += [
                spread([max(one) / sum(one) for one in sizes]),
                spread([float(sum(weight != 0 for weight in outcome.profile)) for outcome in outcomes]),
                ", ".join(str(max(range(len(one)), key=one.__getitem__)) for one in sizes),
            ]
        row(task, *cells)


def darts(seeds: Sequence[int]) -> None:
    """The depth that is derived, and what that depth is worth when it is trained alone."""
    print("\n### DARTS over depth, architecture learning rate 0.1: depths derived, and their regret in points\n")
    head("remedy", *(f"{task}: {what}" for task in TASKS for what in ("depths", "regret")))
    for remedy, options in DARTS.items():
        cells = []
        for task in TASKS:
            fields = {"name": "darts", "architecture_learning_rate": 0.1, **options}
            depths = [supernet(task, seed, **fields).derived[0].depth for seed in seeds]
            best = max(worth(task, depth, seeds) for depth in range(1, DEEPEST + 1))
            regrets = [100 * (best - worth(task, depth, seeds)) for depth in depths]
            cells += [", ".join(map(str, depths)), spread(regrets)]
        row(remedy, *cells)


def worth(task: str, depth: int, seeds: Sequence[int]) -> float:
    return fmean(accuracy(task, depth, seed) for seed in seeds)


@cache
def accuracy(task: str, depth: int, seed: int) -> float:
    """Of one ordinary training, on validation data."""
    data = make_task(TASKS[task]).load()
    space = make_space(SPACE, input_shape=data.input_shape, num_classes=data.num_classes)
    return train(task, Proposal(architecture=answer(space, {"depth": depth})), seed).metrics[SCORE]


def supernet(task: str, seed: int, **options: Any) -> Measurement:
    """One training of a supernet."""
    return train(task, supernet_proposal(options), seed)


def train(task: str, proposal: Proposal, seed: int) -> Measurement:
    job = Job(proposal=proposal, space=SPACE, task=TASKS[task], training=TRAINING, epochs=TRAINING.epochs, seed=seed)
    outcome = run(job, device=torch.device("cpu"), report=lambda *_: None)
    assert isinstance(outcome, Measurement), outcome
    return outcome


def centre(outcome: Measurement) -> float:
    """Mean level under the weights."""
    return sum(level * weight for level, weight in enumerate(outcome.profile)) / sum(outcome.profile)


def spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.2f} ± {stdev(values):.2f}"


if __name__ == "__main__":
    main()
