"""Networks that choose their depth per input: what they save at which accuracy, and whether the clock agrees.

    python benchmarks/dynamic.py clock [--width 32] [--turns 5] [--batch-sizes 256 16 1]
    python benchmarks/dynamic.py exits|multiscale [--tasks MNIST] [--networks exits-last ...] [--seeds 5]
    python benchmarks/dynamic.py report [--tasks MNIST]

`exits` and `multiscale` train what docs/dynamic_depth.csv lacks and then print their tables; a training's
lines are written at once when it has ended, so that a run that was stopped goes on. `report` prints all tables of what
is there. How a network is trained and measured: `dynamic_training.py`. Gates and policies: `dynamic_gates.py`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import dynamic_report
import torch
from dynamic_clock import clock
from dynamic_training import DEPTH, TASKS, Line, Network, train
from machine import describe_machine

RESULTS = Path(__file__).parents[1] / "docs" / "dynamic_depth.csv"
EXITS = (2, 4, 6, 8, 10)
STATIC = {f"static-{depth}": Network(depth=depth) for depth in (DEPTH, 2, 4, 6)}


def _exits(**options: object) -> Network:
    return Network(relaxation={"name": "multi_exit", "exits": EXITS, **options})


NETWORKS: Mapping[str, Mapping[str, Network]] = {
    "exits": {
        **STATIC,
        "exits-plain": _exits(distillation=0.0),
        "exits-last": _exits(teachers="last"),
        "exits-later": _exits(teachers="later"),
    },
    "multiscale": {
        "static-10": STATIC["static-10"],
        "exits-plain": _exits(distillation=0.0),
        "exits-last": _exits(teachers="last"),
        "multiscale": Network(),
    },
}
"""Of each subcommand."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    timed = commands.add_parser("clock")
    timed.add_argument("--width", type=int, default=32)
    timed.add_argument("--turns", type=int, default=5)
    timed.add_argument("--batch-sizes", type=int, nargs="+", default=[256, 16, 1])
    for name in (*NETWORKS, "report"):
        command = commands.add_parser(name)
        command.add_argument("--tasks", nargs="+", choices=TASKS, default=["MNIST"])
        if name in NETWORKS:
            command.add_argument("--networks", nargs="+", choices=NETWORKS[name], default=list(NETWORKS[name]))
            command.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{describe_machine()}\n")
    if arguments.command == "clock":
        clock(width=arguments.width, turns=arguments.turns, batch_sizes=arguments.batch_sizes)
        return
    if arguments.command in NETWORKS:
        _train_missing(NETWORKS[arguments.command], arguments.networks, arguments.tasks, arguments.seeds)
    wanted = [arguments.command] if arguments.command in NETWORKS else list(NETWORKS)
    for task in arguments.tasks:
        for name in wanted:
            dynamic_report.TABLES[name](RESULTS, task)


def _train_missing(networks: Mapping[str, Network], names: Sequence[str], tasks: Sequence[str], seeds: int) -> None:
    """Seed by seed, so that whatever is there can be compared."""
    columns = [field.name for field in fields(Line)]
    if not RESULTS.exists():
        RESULTS.write_text(",".join(columns) + "\n")
    for task in tasks:
        for seed in range(seeds):
            for name in names:
                if _is_done(task, name, seed):
                    continue
                started = time.monotonic()
                lines = train(task, name, networks[name], seed)
                with RESULTS.open("a", newline="") as file:
                    csv.DictWriter(file, columns, lineterminator="\n").writerows(lines)
                print(f"{task}, {name}, seed {seed}: {time.monotonic() - started:.0f} s", flush=True)


def _is_done(task: str, network: str, seed: int) -> bool:
    with RESULTS.open(newline="") as file:
        return any(
            (line["task"], line["network"], line["seed"]) == (task, network, str(seed)) for line in csv.DictReader(file)
        )


if __name__ == "__main__":
    main()
