"""Gates and policies: which blocks an input may skip, at which accuracy, and whether easy inputs skip more.

    python benchmarks/dynamic_gates.py train [--comparisons "MNIST, 20 epochs"] [--networks blockdrop ...] [--seeds 3 4]
    python benchmarks/dynamic_gates.py report [--comparisons "MNIST, 20 epochs"]

`train` adds what docs/dynamic_gates.csv lacks, a line as soon as a training has ended, and then prints the tables.
How a network is trained and measured: `dynamic_gates_training.py`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import dynamic_gates_report
import torch
from dynamic_gates_training import COMPARISONS, NETWORKS, Line, measured
from machine import describe_machine

RESULTS = Path(__file__).parents[1] / "docs" / "dynamic_gates.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "report"):
        command = commands.add_parser(name)
        command.add_argument("--comparisons", nargs="+", choices=COMPARISONS, default=list(COMPARISONS)[:2])
        if name == "train":
            command.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
            command.add_argument("--seeds", nargs="+", type=int, default=[3, 4, 5, 6, 7])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{describe_machine()}\n", flush=True)
    if arguments.command == "train":
        _train_missing(arguments.comparisons, arguments.networks, arguments.seeds)
    for comparison in arguments.comparisons:
        dynamic_gates_report.tables(RESULTS, comparison)


def _train_missing(comparisons: Sequence[str], names: Sequence[str], seeds: Sequence[int]) -> None:
    """Seed by seed, so that whatever is there can be compared."""
    columns = [field.name for field in fields(Line)]
    if not RESULTS.exists():
        RESULTS.write_text(",".join(columns) + "\n")
    for comparison in comparisons:
        for seed in seeds:
            for name in names:
                if _is_done(comparison, name, seed):
                    continue
                started = time.monotonic()
                line = asdict(measured(comparison, name, seed))
                with RESULTS.open("a", newline="") as file:
                    csv.DictWriter(file, columns, lineterminator="\n").writerow(line)
                print(f"{comparison}, {name}, seed {seed}: {time.monotonic() - started:.0f} s", flush=True)


def _is_done(comparison: str, network: str, seed: int) -> bool:
    with RESULTS.open(newline="") as file:
        return any(
            (line["comparison"], line["network"], line["seed"]) == (comparison, network, str(seed))
            for line in csv.DictReader(file)
        )


if __name__ == "__main__":
    main()
