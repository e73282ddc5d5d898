"""Does learning the depth pay at equal compute? All methods and controls, on all tasks, at parts of the grid's cost.

    python benchmarks/learned_depth.py run --share 0.25 [--tasks digits ...] [--methods grid-ascending ...] [--seeds 10]
    python benchmarks/learned_depth.py convergence [--tasks digits ...] [--seeds 5]

`run` goes on where it stopped: what is in docs/learned_depth.csv is not run again, and a study that was interrupted is
resumed from its database in the folder `learned-depth`. One line of the file is one run, and is written only after its
ledger was audited: what its trials were charged is what it spent, and no more than its budget. `convergence` trains
every depth for the epochs of its task and for three times as many, and prints what they reach on validation data and
how alike the two orders are. `depth_report.py` makes tables of the runs.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import as_markdown
import pandas as pd
from depth_tasks import DEEP, DEPTHS, JOINT, REPORTED, TUNING, DepthTask

from nas import Store, open_store, parse_spec, resume_study, run_study

RESULTS = Path(__file__).parents[1] / "docs" / "learned_depth.csv"
FOLDER = Path("learned-depth")
COLUMNS = (
    *("task", "share", "label", "seed", "depth", "delivered_val", "delivered_test", "retrained_test"),
    *("budget_flops", "spent_flops", "stop_reason"),
)

GRIDS: dict[str, dict[str, Any]] = {
    "grid-ascending": {"method": "grid"},
    "grid-coarse": {"method": "grid", "order": "coarse_to_fine"},
    "grid-shuffled": {"method": "grid", "order": "shuffled"},
    "grid-halving": {"method": "successive_halving", "num_candidates": len(DEPTHS)},
}
FIXED: dict[str, dict[str, Any]] = {
    f"fixed-{depth}": {"method": "fixed", "architecture": {"depth": depth}} for depth in sorted({*DEPTHS, *DEEP})
}
ON_FROM_THE_SUPERNET = {"search_share": 0.1, "derived_start": "supernet", "derive_top": 1}
"""A tenth of the budget for learning the depth; then the chosen prefix goes on with its weights, first for as long as
an ordinary trial, then with all that is left."""

LEARNED: dict[str, dict[str, Any]] = {
    "elastic": {"method": "elastic", **ON_FROM_THE_SUPERNET},
    "elastic-scratch": {"method": "elastic", "search_share": 0.1},
    "elastic-sandwich": {
        "method": "elastic",
        "sampling": "sandwich",
        "distillation": 0.5,
        **ON_FROM_THE_SUPERNET,
    },
    "stochastic-depth": {
        "method": "elastic",
        "sampling": "sandwich",
        "heads": "shared",
        "drop_rate": 0.5,
        **ON_FROM_THE_SUPERNET,
    },
    "layer-select": {"method": "layer_select"},
    "layer-select-curriculum": {
        "method": "layer_select",
        "movement": "shallow_to_deep",
        **ON_FROM_THE_SUPERNET,
    },
    "layer-select-remedied": {
        "method": "layer_select",
        "normalized": True,
        "initial_curvature": 0.05,
        "k_learning_rate": 0.1,
        "auxiliary_weight": 1.0,
        "flop_penalty": 0.1,
        **ON_FROM_THE_SUPERNET,
    },
    "layer-fusion": {"method": "layer_fusion", **ON_FROM_THE_SUPERNET},
    "layer-fusion-sparse": {"method": "layer_fusion", "mix": "sparsemax", **ON_FROM_THE_SUPERNET},
    "depth-posterior": {"method": "depth_posterior", **ON_FROM_THE_SUPERNET},
    "depth-posterior-poisson": {
        "method": "depth_posterior",
        "posterior": "poisson",
        **ON_FROM_THE_SUPERNET,
    },
    "depth-posterior-mixture": {"method": "depth_posterior", "deliver": "supernet"},
    "halting": {"method": "halting", **ON_FROM_THE_SUPERNET},
    "darts": {"method": "darts"},
    "autogrow": {"method": "autogrow"},
    "net2deeper": {"method": "net2deeper"},
    "stacking": {"method": "stacking"},
    "adanet": {"method": "adanet"},
    "boosting": {"method": "boosting"},
}
LONGER = 3
"""Times the epochs of a task, to see whether the order of depths changes."""

BOOSTED: dict[str, dict[str, Any]] = {
    f"boosting-{depth}": {"method": "boosting", "depth": depth} for depth in (1, 3, 6)
}
"""Boosting on a depth that is given: what is left of its gain without learning the depth."""

CLAIM = "boosting"
"""The one method, with one set of hyperparameters, for which the claim is tested. Chosen on the tuning tasks."""
SEARCHED: dict[str, dict[str, Any]] = {
    "random": {"method": "random"},
    "evolution": {"method": "evolution", "population": 20, "tournament": 5},
    "reinforce": {"method": "reinforce"},
    "local-search": {"method": "local_search"},
    "tpe": {"method": "tpe"},
    "predictor": {"method": "predictor"},
    "darts": {"method": "darts"},
}
"""What learns depth together with operations. Mixtures of depths alone cannot be asked for those."""
METHODS = {**GRIDS, **FIXED, **BOOSTED, **LEARNED, **SEARCHED}
TASKS = {**REPORTED, **TUNING, **JOINT}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--share", type=float, default=0.25)
    run.add_argument("--tasks", nargs="+", choices=list(TASKS), default=[*REPORTED, *JOINT])
    run.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    run.add_argument("--seeds", type=int, default=10)
    run.add_argument("--results", type=Path, default=RESULTS)
    longer = commands.add_parser("convergence")
    longer.add_argument("--tasks", nargs="+", choices=[*REPORTED, *TUNING], default=list(REPORTED))
    longer.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with open_store(f"sqlite:///{FOLDER / 'nas.db'}") as store:
        if arguments.command == "convergence":
            convergence(store, arguments.tasks, arguments.seeds)
            return
        for task in arguments.tasks:
            run_task(store, task, arguments.share, arguments.methods, arguments.seeds, arguments.results)


def run_task(store: Store, name: str, share: float, labels: Sequence[str], num_seeds: int, results: Path) -> None:
    """Run what is missing of one task at one share of the grid's cost."""
    done = known(results)
    missing = [
        label
        for label in methods_of(TASKS[name], labels)
        if not {(name, share, label, seed) for seed in range(num_seeds)} <= done
    ]
    if not missing:
        return
    spec = study_file(name, share, {label: METHODS[label] for label in missing}, num_seeds)
    stored = {summary.name: summary.status for summary in store.studies()}
    if spec["name"] not in stored:
        run_study(parse_spec(spec), store)
    elif stored[spec["name"]] in ("running", "interrupted"):
        resume_study(spec["name"], store)
    append(results, [row for row in audited(store, spec["name"], name, share) if key(row) not in done])
    print(f"{name} at {share:g}: {', '.join(missing)}", file=sys.stderr, flush=True)


def methods_of(task: DepthTask, labels: Sequence[str]) -> list[str]:
    """Those of the methods that the space of the task allows."""
    learners = SEARCHED if task.is_joint else {**LEARNED, **BOOSTED}
    fixed = [label for label, method in FIXED.items() if method["architecture"]["depth"] in task.depths]
    allowed = {*GRIDS, *fixed, *learners}
    return [label for label in labels if label in allowed]


def study_file(name: str, share: float, methods: Mapping[str, Mapping[str, Any]], num_seeds: int) -> dict[str, Any]:
    """One study: these methods on one task. Its name depends on all that it does."""
    task = TASKS[name]
    spec = {
        "task": dict(task.task),
        "space": dict(task.space),
        "methods": [{"label": label, **method} for label, method in methods.items()],
        "seeds": num_seeds,
        "budget": {"of_grid": share},
        "training": task.training,
        "final": {"training": {"epochs": task.epochs}},
        "resources": {"workers": 2, "storage": str(FOLDER / "files")},
    }
    digest = hashlib.sha256(repr(spec).encode()).hexdigest()[:8]
    return {"name": f"{name.replace(' ', '-')}-{share:g}-{digest}", **spec}


def convergence(store: Store, names: Sequence[str], num_seeds: int) -> None:
    """Print validation accuracies by depth after E and 3 E epochs, and Spearman's correlation of their means."""
    as_markdown.head("task", "epochs", *(f"depth {depth}" for depth in DEPTHS), "order of the means")
    for name in names:
        task = TASKS[name]
        means = []
        for factor in (1, LONGER):
            accuracy = full_grid(store, name, num_seeds, task.epochs * factor)
            means.append(accuracy.mean())
            cells = (f"{100 * accuracy[depth].mean():.1f} ± {100 * accuracy[depth].std():.1f}" for depth in DEPTHS)
            alike = f"{means[0].corr(means[-1], method='spearman'):.2f}" if factor > 1 else ""
            as_markdown.row(name, str(task.epochs * factor), *cells, alike)


def full_grid(store: Store, name: str, num_seeds: int, epochs: int) -> pd.DataFrame:
    """Validation accuracy by seed and depth, every depth trained once for so many epochs."""
    spec = study_file(name, 1.0, {"grid-ascending": GRIDS["grid-ascending"]}, num_seeds)
    spec["training"]["epochs"] = epochs
    spec |= {"name": f"{spec['name']}-{epochs}-epochs", "spend_rest": False, "final": {"training": {"epochs": 1}}}
    if spec["name"] not in {summary.name for summary in store.studies()}:
        run_study(parse_spec(spec), store)
    trials = store.frame("trials", spec["name"])
    searched = trials[trials["kind"] == "architecture"]
    return searched.pivot_table(index="run", columns="depth", values="val_accuracy")


def audited(store: Store, study: str, task: str, share: float) -> Iterable[dict[str, Any]]:
    """The finished runs of a study, each checked against the ledger."""
    runs, charges = store.frame("runs", study), store.frame("charges", study)
    charged = charges[charges["account"] == "search"].groupby("run")["flops"].sum()
    for row in runs.to_dict("records"):
        if row["phase"] != "done":
            print(f"{study}: {row['label']}, seed {row['seed']}: {row['stop_reason']}", file=sys.stderr)
            continue
        assert charged[row["run"]] == row["spent"] <= row["budget"], f"the ledger of run {row['run']} does not add up"
        yield {
            "task": task,
            "share": share,
            "label": row["label"],
            "seed": row["seed"],
            "depth": "" if pd.isna(row["depth"]) else int(row["depth"]),
            "delivered_val": row["delivered_val_accuracy"],
            "delivered_test": row["delivered_test_accuracy"],
            "retrained_test": row["retrained_test_accuracy"],
            "budget_flops": row["budget"],
            "spent_flops": row["spent"],
            "stop_reason": row["stop_reason"],
        }


def key(row: Mapping[str, Any]) -> tuple[str, float, str, int]:
    return str(row["task"]), float(row["share"]), str(row["label"]), int(row["seed"])


def known(results: Path) -> set[tuple[str, float, str, int]]:
    if not results.exists():
        return set()
    with results.open(newline="") as file:
        return {key(row) for row in csv.DictReader(file)}


def append(results: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    is_new = not results.exists()
    with results.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
