"""What the worker adds to a training: samples per second of one trial against the shortest hand-written loop.

    python benchmarks/training.py [--epochs 20] [--repeats 5]

Both sides train the same network from the same weights on the same batches with the same optimizer and schedule and
validate after every epoch; the worker also counts FLOPs, draws its data order, checks for NaN and reports. They take
turns in one process on one thread; the ratio is taken pair by pair. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch
from machine import describe_machine
from torch.nn import functional as F

from controllers.trial import Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from workers.job import Job
from workers.tasks import SearchData, make_task
from workers.train import run
from workers.training import Training

TASK = {"name": "digits", "train_size": 1000}
SPACE = {"family": "resnet", "depth": [2, 6, 12], "width": 8}
DEVICE = torch.device("cpu")


def time_worker(depth: int, training: Training) -> float:
    """Seconds of one trial, from the job to the measurement."""
    data = make_task(TASK).load()
    space = make_space(SPACE, input_shape=data.input_shape, num_classes=data.num_classes)
    proposal = Proposal(architecture=answer(space, {"depth": depth}))
    job = Job(proposal=proposal, space=SPACE, task=TASK, training=training, epochs=training.epochs, seed=0)
    start = time.perf_counter()
    outcome = run(job, device=DEVICE, report=lambda *_: None)
    seconds = time.perf_counter() - start
    assert outcome.epochs == training.epochs
    return seconds


def time_by_hand(depth: int, training: Training, data: SearchData) -> float:
    """Seconds of the shortest loop that does the same."""
    space = make_space(SPACE, input_shape=data.input_shape, num_classes=data.num_classes)
    start = time.perf_counter()
    torch.manual_seed(0)
    network = space.build(answer(space, {"depth": depth}))
    x, y = data.train.x, data.train.y
    steps = len(x) // training.batch_size
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=training.epochs * steps, cycle_momentum=False
    )
    for _ in range(training.epochs):
        network.train()
        order = torch.randperm(len(x))[: steps * training.batch_size]
        for rows in order.split(training.batch_size):
            loss = F.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            (network(data.validation.x).argmax(dim=1) == data.validation.y).float().mean().item()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training = Training(epochs=arguments.epochs)
    data = make_task(TASK).load()
    samples = len(data.train) // training.batch_size * training.batch_size * training.epochs
    print(describe_machine())
    print("| depth | by hand, samples/s | worker, samples/s | worker / hand: median (min, max) | must be |")
    print("|---|---|---|---|---|")
    for depth in (2, 6, 12):
        pairs = [
            (time_by_hand(depth, training, data), time_worker(depth, training)) for _ in range(arguments.repeats + 1)
        ][1:]  # the first pair warms up
        hand, worker = (samples / median(times) for times in zip(*pairs, strict=True))
        ratios = sorted(by_hand / by_worker for by_hand, by_worker in pairs)
        ratio = f"{median(ratios):.3f} ({ratios[0]:.3f}, {ratios[-1]:.3f})"
        print(f"| {depth} | {hand:,.0f} | {worker:,.0f} | {ratio} | >= 0.95 |")


if __name__ == "__main__":
    main()
