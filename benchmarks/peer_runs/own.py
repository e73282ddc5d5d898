"""The project's own methods on the same protocol: studies over the table, through ledger and store."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from peer_runs.environments import ROOT
from peer_runs.protocol import BUDGET_S, Clock, Outcome, Table, incumbents

import controllers
import nas
import search_spaces
import workers
from controllers import CONTROLLERS
from nas import open_store, parse_spec
from nas.plan import Plan
from nas.service import simulate_study

AGING = {"method": "evolution", "population": 10, "tournament": 3}
WANTED: Mapping[str, Mapping[str, Any]] = {
    "random": {"method": "random"},
    "aging": {**AGING, "redraw": False},
    "evolution": AGING,
    "reinforce": {"method": "reinforce"},
    "local_search": {"method": "local_search"},
    "predictor": {"method": "predictor"},
    "nsga2": {"method": "nsga2", "population": 10},
    "tpe": {"method": "tpe"},
    "gp": {"method": "gp"},
}
"""Methods of interest, as a study file has them."""
METHODS = {name: method for name, method in WANTED.items() if method["method"] in CONTROLLERS}
"""Without those that this version lacks."""

RUNS_AT_A_TIME = 10
TRIALS = """
SELECT runs.seed, trials.run_spent, trials.val_accuracy, trials.decisions
FROM trials JOIN runs USING (study_id, run)
WHERE account = 'search' AND finish_order IS NOT NULL
ORDER BY run, finish_order
"""


def run_seeds(method: str, seeds: Sequence[int], path: Path, seconds: float) -> Iterator[Outcome]:
    """One run for each seed; no study of `RUNS_AT_A_TIME` runs is begun after so many seconds."""
    table, start = Table(path), time.monotonic()
    for first in range(0, len(seeds), RUNS_AT_A_TIME):
        if time.monotonic() - start > seconds:
            return
        yield from _study(method, seeds[first : first + RUNS_AT_A_TIME], table, path)


def time_trials(method: str, num_trials: int, path: Path) -> tuple[float, float]:
    """Seconds for one run of so many trials, from the study to the SQLite file, by both clocks."""
    plan = Plan(_spec(method, [0], {"trials": num_trials}, path))
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/nas.db") as store:
        clock = Clock()
        simulate_study(plan.spec, store, plan=plan)
        return clock.read()


@cache
def fingerprint() -> str:
    """Of the project's code: what another version measured is measured again."""
    folders = (Path(floor.__path__[0]) for floor in (search_spaces, controllers, workers, nas))
    sources = (path for folder in folders for path in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()[:12]


def _study(method: str, seeds: Sequence[int], table: Table, path: Path) -> Iterator[Outcome]:
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/nas.db") as store:
        plan = Plan(_spec(method, seeds, {"device_seconds": BUDGET_S}, path))
        clock = Clock()
        simulate_study(plan.spec, store, plan=plan)
        _, busy = clock.read()
        rows = list(store.query(TRIALS).itertuples(index=False, name=None))
    for seed, run in groupby(rows, key=itemgetter(0)):
        trials = [(int(spent) / 1e6, float(accuracy), table.row(_decisions(text))) for _, spent, accuracy, text in run]
        yield Outcome(
            seed=int(seed),
            num_trials=len(trials),
            busy_s=busy * len(trials) / len(rows),
            curve=incumbents(table, trials),
        )


def _decisions(stored: Any) -> Mapping[str, str]:
    decisions: Mapping[str, str] = json.loads(stored) if isinstance(stored, str) else stored
    return decisions


def _spec(method: str, seeds: Sequence[int], budget: Mapping[str, float], path: Path) -> Any:
    return parse_spec(
        {
            "name": "peers",
            "space": {
                "family": "tabular",
                "table": str(path),
                "mapping": str(ROOT / "examples" / "tables" / "nasbench201.yaml"),
            },
            "methods": [dict(METHODS[method])],
            "seeds": list(seeds),
            "budget": dict(budget),
            "training": {"epochs": 12},
            "resources": {"workers": 1},
            "reuse": False,
        }
    )
