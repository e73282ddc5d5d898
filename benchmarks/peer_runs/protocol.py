"""The published protocol of NAS-Bench-201 on CIFAR-10 (Dong & Yang, ICLR 2020), for anything that can ask and tell.

12,000 simulated seconds for every run. Training a cell for 12 epochs costs the seconds that the benchmark's authors
measured and shows the validation accuracy after those epochs; a cell that is asked for twice is paid for twice, and a
trial that does not fit in what is left is not run. The cell with the best validation accuracy is what a run holds, and
its test accuracy after 200 epochs is what the run is worth. Needs numpy alone, so that every peer's Python can read it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

BUDGET_S = 12_000.0
CHECKPOINTS_S = (3_000.0, 6_000.0, 12_000.0)
EDGES = ("edge0>1", "edge0>2", "edge1>2", "edge0>3", "edge1>3", "edge2>3")
TABLE = "nasbench201_cifar10.npz"


class Table:
    """What training each of the 15,625 cells showed and took."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.operations: list[str] = [str(name) for name in file["op_names"]]
            self.seconds: list[float] = file["train_s12"].astype(float).tolist()
            self.validation: list[float] = file["c10_val12"].astype(float).tolist()
            self.test: list[float] = file["c10_test200"].astype(float).tolist()
            cells = file["ops"].tolist()
        self._rows = {tuple(self.operations[op] for op in cell): row for row, cell in enumerate(cells)}

    def row(self, choices: Mapping[str, str]) -> int:
        """Where the cell with these operations stands, given by edge."""
        return self._rows[tuple(choices[edge] for edge in EDGES)]

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The operations of every cell, by row."""
        return list(self._rows)


class Optimizer(Protocol):
    """A peer's method, seen through its own interface for asking and telling."""

    def ask(self) -> Mapping[str, str]:
        """The next cell: an operation for every edge."""
        ...

    def tell(self, accuracy: float) -> None:
        """The validation accuracy of the cell that was asked for last; more is better."""
        ...


class Clock:
    """Seconds since it was made: of the wall's clock and of this process's processor time."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Both."""
        return time.perf_counter() - self._start[0], time.process_time() - self._start[1]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run came to."""

    seed: int
    num_trials: int
    busy_s: float
    """Processor time that the method spent on asking and telling."""
    curve: Sequence[tuple[float, float]]
    """Every change of what the run held: simulated seconds spent by then, and its test accuracy in percent."""

    def held_at(self, seconds: float) -> float:
        """Test accuracy of what the run held after so many simulated seconds."""
        return [test for spent, test in self.curve if spent <= seconds][-1]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run(table: Table, optimizer: Optimizer, *, seed: int) -> Outcome:
    """One run of a peer's method, one trial at a time."""
    spent, busy, trials = 0.0, 0.0, []
    while True:
        start = time.process_time()
        row = table.row(optimizer.ask())
        busy += time.process_time() - start
        if spent + table.seconds[row] > BUDGET_S:
            break
        spent += table.seconds[row]
        trials.append((spent, table.validation[row], row))
        start = time.process_time()
        optimizer.tell(table.validation[row])
        busy += time.process_time() - start
    return Outcome(seed=seed, num_trials=len(trials), busy_s=busy, curve=incumbents(table, trials))


def incumbents(table: Table, trials: Iterable[tuple[float, float, int]]) -> list[tuple[float, float]]:
    """The curve of an outcome, from seconds spent, validation accuracy and row of every trial; of equals, the first."""
    curve, best = [], -np.inf
    for spent, validation, row in trials:
        if validation > best:
            best = validation
            curve.append((spent, table.test[row]))
    return curve
