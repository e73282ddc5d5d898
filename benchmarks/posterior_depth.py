"""Does the posterior depth grow with the difficulty of the task? The spirals of Nazaret & Blei (ICML 2022).

    python benchmarks/posterior_depth.py [--posteriors poisson categorical] [--turns 0.5 1 2 3] [--seeds 3]
                                         [--epochs 1000] [--batch-size 256]

The setting is the authors' (experiments/supervised_spiral.py): 1,024 points, batches of 256, dense layers of width 8,
Adam at 0.01, a Poisson(0.5) prior, nu starting at 1 with a tenth of that learning rate; but no Gaussian prior on the
weights. Their first layer is our level 0, the stem. A seed decides the points, the weights and the batches. Prints a
Markdown table: mean and standard deviation over seeds of the posterior's mean depth, the most probable depths and the
validation accuracies seed by seed, and the FLOPs charged over those of the same training with all levels in use.
"""

from __future__ import annotations

import argparse
from statistics import mean, stdev

import torch
from as_markdown import head, row
from machine import describe_machine

from controllers.cost import total
from controllers.supernets import supernet_proposal
from controllers.trial import Measurement
from search_spaces import make_space
from workers.job import Job
from workers.pricing import DataShape, Pricer
from workers.tasks import make_task
from workers.train import run
from workers.training import Training

SPACE = {"family": "mlp", "depth": {"min": 0, "max": 15}, "width": 8}
PRIORS = {"poisson": {"prior_mean": 0.5}, "categorical": {}}


def train(posterior: str, turns: float, seed: int, training: Training) -> tuple[Measurement, float]:
    """One training, and the part of its price that it was charged."""
    proposal = supernet_proposal({"name": "depth_posterior", "posterior": posterior, **PRIORS[posterior]})
    task = {"name": "spiral", "turns": turns, "data_seed": seed}
    job = Job(proposal=proposal, space=SPACE, task=task, training=training, epochs=training.epochs, seed=seed)
    outcome = run(job, device=torch.device("cpu"), report=lambda *_: None)
    assert isinstance(outcome, Measurement), outcome.reason

    data = make_task(task).load()
    space = make_space(SPACE, input_shape=data.input_shape, num_classes=data.num_classes)
    shape = DataShape(input_shape=data.input_shape, num_train=len(data.train), num_validation=len(data.validation))
    price = training.epochs * Pricer(space, shape).epoch_cost(proposal, training).flops
    return outcome, total(outcome.charges).flops / price


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posteriors", nargs="+", choices=sorted(PRIORS), default=["poisson"])
    parser.add_argument("--turns", nargs="+", type=float, default=[0.5, 1.0, 2.0, 3.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=256)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training = Training(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=0.01,
        weight_decay=0.0,
        schedule="constant",
    )
    seeds, steps = range(arguments.seeds), f"{training.epochs} epochs in batches of {training.batch_size}"
    print(f"{describe_machine()}; seeds {', '.join(map(str, seeds))}; {steps}")
    head("posterior", "turns", "mean depth", "most probable depths", "validation accuracies", "charged / price")
    for posterior in arguments.posteriors:
        for turns in arguments.turns:
            runs = [train(posterior, turns, seed, training) for seed in seeds]
            depths = [sum(level * q for level, q in enumerate(one.profile)) for one, _ in runs]
            spread = f" ± {stdev(depths):.2f}" if len(depths) > 1 else ""
            modes = ", ".join(str(one.derived[0].depth) for one, _ in runs)
            accuracies = ", ".join(f"{one.metrics['val_accuracy']:.3f}" for one, _ in runs)
            share = mean(share for _, share in runs)
            row(posterior, f"{turns:g}", f"{mean(depths):.2f}{spread}", modes, accuracies, f"{share:.2f}")


if __name__ == "__main__":
    main()
