"""How long `nas compare` takes on a large study: the whole process, from the shell's point of view.

    python benchmarks/compare.py [--methods 5] [--seeds 100] [--trials 100] [--repeats 5]

Writes a study through the store's own methods (every trial started, charged and finished), then runs the command as a
subprocess, several times each way. Prints a Markdown table, and exits with 1 if the least time of one way is above
`LIMIT_S`: on a machine that is shared, that is the one which says most about the command.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from machine import describe_machine

from controllers.cost import Charge, ChargeKind, Cost, Unit
from controllers.trial import Kind, Measurement, Proposal, Status, Trial
from nas import Store, open_store
from nas.records import (
    Account,
    Phase,
    Record,
    RunChanged,
    RunPlan,
    StudyChanged,
    StudyStatus,
    TrialFinished,
    TrialStarted,
)
from search_spaces.architecture import Architecture

LIMIT_S = 3.0
NAME = "large"
FLOPS_PER_TRIAL = 1_000_000
DEPTHS = range(1, 13)
COMMANDS = {
    "table": [],
    "table, with --at and --cap": ["--at", "0.1,0.25,0.5,1", "--cap", "4e6,8e6"],
    "JSON, everything": ["--cap", "4e6,8e6", "-f", "json"],
    "CSV": ["-f", "csv"],
}


def write_study(store: Store, num_methods: int, num_seeds: int, num_trials: int) -> None:
    """Methods that differ a little, on seeds that differ more; one transaction per run."""
    labels = ["grid", *(f"method_{number}" for number in range(1, num_methods))]
    budget = FLOPS_PER_TRIAL * num_trials
    plans = [
        RunPlan(index=index, label=label, method="random", options={}, seed=seed, unit=Unit.FLOPS, budget=budget)
        for index, (label, seed) in enumerate((label, seed) for label in labels for seed in range(num_seeds))
    ]
    spec = {"task": {"name": "digits"}, "space": {"family": "mlp"}, "methods": labels}
    study_id = store.create_study(NAME, spec, plans, {})
    for plan in plans:
        skill = 0.005 * labels.index(plan.label)
        store.record(study_id, _run(plan.index, skill, num_trials, np.random.default_rng((plan.index, 0))))
    store.record(study_id, [StudyChanged(status=StudyStatus.COMPLETE)])


def _run(run: int, skill: float, num_trials: int, rng: np.random.Generator) -> Iterator[Record]:
    depths = rng.choice(DEPTHS, size=num_trials)
    scores = np.clip(rng.normal(0.85 + skill, 0.03, size=num_trials), 0, 1)
    first = run * (num_trials + 1)
    for number, (depth, score) in enumerate(zip(depths.tolist(), scores.tolist(), strict=True)):
        yield from _trial(run, number, first + number, depth, Kind.ARCHITECTURE, {"val_accuracy": score})
    choice = int(scores.argmax())
    yield RunChanged(run=run, phase=Phase.FINAL, stop_reason="budget spent", choice=choice)
    test = {
        "val_accuracy": float(scores[choice]),
        "delivered_val_accuracy": float(scores[choice]),
        "delivered_test_accuracy": float(scores[choice]) - 0.02,
        "retrained_test_accuracy": float(scores[choice]) - 0.01,
    }
    yield from _trial(run, num_trials, first + num_trials, int(depths[choice]), Kind.FINAL, test)
    yield RunChanged(run=run, phase=Phase.DONE, stop_reason="budget spent", choice=choice)


def _trial(run: int, number: int, order: int, depth: int, kind: Kind, metrics: dict[str, float]) -> Iterator[Record]:
    architecture = Architecture(depth=depth, form={"depth": depth}, decisions={"depth": depth})
    account = Account.FINAL if kind is Kind.FINAL else Account.SEARCH
    cost = Cost(flops=FLOPS_PER_TRIAL, device_us=1000, epochs=1, trials=1)
    charges = (Charge(kind=ChargeKind.TRAIN, cost=cost),)
    measurement = Measurement(
        metrics=metrics, charges=charges, epochs=1, num_parameters=100 * depth, inference_flops=1_000_000 * depth
    )
    started = Trial(number=number, proposal=Proposal(kind=kind, architecture=architecture), epochs=1, seed=number)
    finished = Trial(
        number=number,
        proposal=started.proposal,
        epochs=1,
        seed=number,
        status=Status.COMPLETE,
        measurement=measurement,
    )
    yield TrialStarted(run=run, trial=started, reserved=FLOPS_PER_TRIAL, account=account)
    yield TrialFinished(run=run, trial=finished, charges=charges, account=account, order=order)


def time_command(url: str, options: list[str]) -> tuple[float, float]:
    """Seconds on the wall and on the processor."""
    command = [str(Path(sys.executable).with_name("nas")), "compare", NAME, "--db", url, *options]
    began, busy = time.perf_counter(), cpu_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, cpu_seconds() - busy


def cpu_seconds() -> float:
    """Of all commands so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/nas.db"
        with open_store(url) as store:
            write_study(store, arguments.methods, arguments.seeds, arguments.trials)
        times = {
            name: [time_command(url, options) for _ in range(arguments.repeats)] for name, options in COMMANDS.items()
        }
    num_runs = arguments.methods * arguments.seeds
    print(describe_machine())
    print(f"{num_runs} runs of {arguments.trials} trials: {arguments.methods} methods, {arguments.seeds} seeds.\n")
    print("| `nas compare` | processor, median, s | wall: least (median, most), s | least must be |\n|---|---|---|---|")
    for name, taken in times.items():
        wall, processor = zip(*taken, strict=True)
        walls = f"{min(wall):.2f} ({median(wall):.2f}, {max(wall):.2f})"
        print(f"| {name} | {median(processor):.2f} | {walls} | <= {LIMIT_S:g} |")
    sys.exit(1 if any(min(wall for wall, _ in taken) > LIMIT_S for taken in times.values()) else 0)


if __name__ == "__main__":
    main()
