"""Networks that choose their depth per input: what they save at which accuracy, and whether the clock agrees.

    python benchmarks/dynamic.py clock [--width 32] [--turns 5] [--batch-sizes 256 16 1]
    python benchmarks/dynamic.py exits|multiscale [--tasks MNIST] [--networks exits-last ...] [--seeds 5]
    python benchmarks/dynamic.py report [--tasks MNIST]

`exits` and `multiscale` train what docs/dynamic_exits.csv lacks and then print their tables; a training's
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
from dynamic_training import DEPTH, TASKS, WITH_EXITS, Line, Network, Setting, train
from machine import describe_machine

EXITS = (1, 2, 4, 6, 8, 10)
STATIC = {f"static-{depth}": Network(depth=depth) for depth in (DEPTH, 2, 4, 6, 8)}


def _exits(**options: object) -> Network:
    return Network(relaxation={"name": "multi_exit", "exits": EXITS, **options})


TAUGHT = {"teachers": "later", "temperature": 3.0, "temperature_growth": 1.0}
"""Chosen on validation data, as the shares of distillation are (docs/dynamic_depth.md)."""
WITH_TEACHERS = {
    "exits-plain": _exits(distillation=0.0),
    "exits-weighted": _exits(distillation=0.0, weights=(1, 1, 1, 1, 1, 5)),
    "exits-last": _exits(**{**TAUGHT, "teachers": "last"}, distillation=0.2),
    "exits-later": _exits(**TAUGHT, distillation=0.2),
    "exits-first": _exits(**TAUGHT, distillation_by_exit=(0.5, 0.0, 0.0, 0.0, 0.0)),
    "exits-graded": _exits(**{**TAUGHT, "temperature": 4.0}, distillation_by_exit=(0.8, 0.2, 0.0, 0.0, 0.0)),
}

NETWORKS: Mapping[str, Mapping[str, Network]] = {
    "exits": {
        **STATIC,
        **WITH_TEACHERS,
        "exits-paper": _exits(teachers="later"),
    },
    "multiscale": {
        "static-10": STATIC["static-10"],
        **WITH_TEACHERS,
        "multiscale": Network(),
        "multiscale-last": Network(decisions={"base": 6}),
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
        wanted = {name: NETWORKS[arguments.command][name] for name in arguments.networks}
        _train_missing(WITH_EXITS, wanted, arguments.tasks, arguments.seeds)
    for task in arguments.tasks:
        for name in [arguments.command] if arguments.command in NETWORKS else NETWORKS:
            dynamic_report.TABLES[name](WITH_EXITS.results, task)


def _train_missing(setting: Setting, networks: Mapping[str, Network], tasks: Sequence[str], seeds: int) -> None:
    """Seed by seed, so that whatever is there can be compared."""
    columns = [field.name for field in fields(Line)]
    if not setting.results.exists():
        setting.results.write_text(",".join(columns) + "\n")
    for task in tasks:
        for seed in range(seeds):
            for name, network in networks.items():
                if _is_done(setting.results, task, name, seed):
                    continue
                started = time.monotonic()
                lines = train(setting, task, name, network, seed)
                with setting.results.open("a", newline="") as file:
                    csv.DictWriter(file, columns, lineterminator="\n").writerows(lines)
                print(f"{task}, {name}, seed {seed}: {time.monotonic() - started:.0f} s", flush=True)


def _is_done(results: Path, task: str, network: str, seed: int) -> bool:
    with results.open(newline="") as file:
        return any(
            (line["task"], line["network"], line["seed"]) == (task, network, str(seed)) for line in csv.DictReader(file)
        )


if __name__ == "__main__":
    main()
