"""One method on a table, over many seeds, and what its choices are worth. Used by the benchmarks on tables."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from controllers.controller import Controller, Recommending
from controllers.seeded import without_seeds
from controllers.trial import Proposal, Trial
from nas import Plan, Store, open_store, parse_spec, simulate_study
from search_spaces.compose import answer
from search_spaces.tabular import Tabular

DATA = Path(os.environ.get("NAS_DATA", "../shared/data"))
MAPPINGS = Path(__file__).parents[1] / "examples" / "tables"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one method."""

    truth: Mapping[float, NDArray[np.float64]]
    """By budget: test accuracy in percent of what each run would have chosen with it."""
    ms_per_proposal: float
    """The method's own processor time, learning included."""
    num_trials: int
    seconds: float
    """Real time of the whole simulation."""


def table_space(table: str, mapping: str, **limits: int) -> dict[str, Any]:
    """The options of a space over a table in the data folder."""
    path = DATA / table
    if not path.exists():
        sys.exit(f"There is no {path}: set NAS_DATA to the folder that holds the tables.")
    return {"family": "tabular", "table": str(path), "mapping": str(MAPPINGS / mapping), **limits}


def run_method(
    space: Mapping[str, Any],
    method: object,
    *,
    unit: str,
    budgets: Sequence[float],
    runs: int,
    epochs: int,
    workers: int = 1,
) -> Result:
    """Simulate `runs` runs with the largest of `budgets`, in a database of their own."""
    spec = parse_spec(
        {
            "name": "study",
            "space": space,
            "methods": [method],
            "seeds": runs,
            "budget": {unit: max(budgets)},
            "training": {"epochs": epochs},
            "resources": {"workers": workers},
            "reuse": False,
        }
    )
    plan = Plan(spec)
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/nas.db") as store:
        with timed_controllers() as clocks:
            start = time.perf_counter()
            simulate_study(spec, store, plan=plan)
            seconds = time.perf_counter() - start
        num_trials = int(store.query("SELECT COUNT(*) AS n FROM trials WHERE account = 'search'")["n"].iloc[0])
        truth = {budget: _truth_at(plan, store, budget, clocks) for budget in budgets}
    return Result(
        truth=truth,
        ms_per_proposal=1e3 * sum(clock.seconds for clock in clocks) / max(sum(clock.asked for clock in clocks), 1),
        num_trials=num_trials,
        seconds=seconds,
    )


@dataclass
class Timed:
    """A controller whose processor time is counted."""

    controller: Controller
    seconds: float = 0.0
    asked: int = 0

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        self.asked += 1
        start = time.process_time()
        try:
            return self.controller.ask(number, pending)
        finally:
            self.seconds += time.process_time() - start

    def tell(self, trial: Trial) -> None:
        start = time.process_time()
        self.controller.tell(trial)
        self.seconds += time.process_time() - start


@dataclass
class TimedRecommending(Timed):
    """One that recommends. What it would have recommended after each trial is kept, and its time not counted."""

    recommended: list[int | None] = field(default_factory=list)

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        self.recommended.append(self.recommend())

    def recommend(self) -> int | None:
        assert isinstance(self.controller, Recommending)
        return self.controller.recommend()


@contextmanager
def timed_controllers() -> Iterator[list[Timed]]:
    """All controllers made inside are timed."""
    made: list[Timed] = []
    original = Plan.make_controller

    def make(*arguments: Any) -> Timed:
        controller = original(*arguments)
        recommends = isinstance(without_seeds(controller), Recommending)
        clock = TimedRecommending(controller) if recommends else Timed(controller)
        made.append(clock)
        return clock

    with patch.object(Plan, "make_controller", make):
        yield made


def _truth_at(plan: Plan, store: Store, budget: float, clocks: Sequence[Timed]) -> NDArray[np.float64]:
    """Test accuracy, in percent, of what every run would have chosen when it had spent `budget`."""
    assert isinstance(plan.space, Tabular)
    atoms = int(budget * plan.unit.atoms)
    found = "FROM trials WHERE account = 'search' AND status = 'complete'"
    best = store.query(
        "SELECT run, number, decisions, MAX(val_accuracy) AS score, COUNT(*) AS told "
        f"{found} AND run_spent <= {atoms} GROUP BY run ORDER BY run"
    )  # SQLite takes the other columns from the row of the maximum
    if isinstance(clocks[0], TimedRecommending):
        all_trials = store.query(f"SELECT run, number, decisions {found}").set_index(["run", "number"])["decisions"]
        for at, (run, number, told) in enumerate(zip(best["run"], best["number"], best["told"], strict=True)):
            recommended = clocks[run].recommended[told - 1]
            best.loc[at, "decisions"] = all_trials[run, number if recommended is None else recommended]
    truth_N = plan.space.content.truth_N
    rows = [plan.space.row(answer(plan.space, json.loads(text))) for text in best["decisions"]]
    return 100 * truth_N[rows]


def spread(values: NDArray[np.float64]) -> str:
    """Mean, deviation and the 95 % interval of the mean; the value alone where there is one."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f} ({values.mean() - half:.2f} to {values.mean() + half:.2f})"
