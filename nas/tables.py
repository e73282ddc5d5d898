"""The tables that people read: studies, runs and trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from controllers.cost import MICROSECONDS_PER_SECOND, Unit
from nas.comparison import without_figures
from nas.output import Row, table
from nas.quantities import amount, flops, number, percent, seconds

STYLES = {"failed": "red", "interrupted": "yellow", "running": "cyan", "complete": "green", "done": "green"}
"""Colours of statuses and phases."""


def studies_table(studies: Sequence[Row]) -> Table:
    """The list of studies."""
    columns = {"id": True, "study": False, "status": False, "runs": True, "trials": True, "created": False}
    body = (
        (
            str(study["id"]),
            study["name"],
            _status(study["status"]),
            number(study["num_runs"]),
            number(study["num_trials"]),
            local_time(study["created_at"]),
        )
        for study in studies
    )
    return table(columns, body)


def study_header(study: Row, runs: Sequence[Row]) -> Table:
    """What a study is about."""
    spec, first = study["spec"], runs[0]
    num_methods = len({run["label"] for run in runs})
    facts: dict[str, str | Text] = {
        "study": f"{study['name']} (id {study['id']})",
        "status": _status(study["status"]),
        "created": f"{local_time(study['created_at'])} on {study['host']}",
        "task": _listing(spec.get("task", {})),
        "space": _listing(spec.get("space", {})),
        "runs": f"{len(runs)} of {num_methods} methods, {amount(first['budget'], Unit(first['unit']))} each",
        "versions": _listing(study["versions"]),
    }
    return facts_table(facts)


def facts_table(facts: Mapping[str, str | Text]) -> Table:
    """Names and values."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in facts.items():
        made.add_row(name, value)
    return made


def runs_table(runs: Sequence[Row]) -> Table:
    """The runs of one study."""
    columns = {"run": True, "method": False, "seed": True, "phase": False, "spent\n%": True, "trials": True}
    columns |= {
        "best\nval. %": True,
        "depth": True,
        "delivered\ntest %": True,
        "retrained\ntest %": True,
        "ended": False,
    }
    body = (
        (
            str(run["run"]),
            run["label"],
            str(run["seed"]),
            _status(run["phase"]),
            percent(run["spent_fraction"]),
            number(run["num_trials"]),
            percent(run["best_val_accuracy"]),
            number(run["depth"]),
            percent(run["delivered_test_accuracy"]),
            percent(run["retrained_test_accuracy"]),
            without_figures(run["stop_reason"]),
        )
        for run in runs
    )
    return table(columns, body)


def trials_table(trials: Sequence[Row]) -> Table:
    """Trials of one study."""
    columns = {"run": True, "method": False, "seed": True, "trial": True, "kind": False, "status": False}
    columns |= {"depth": True, "epochs": True, "val. %": True, "cost": True, "time": True, "note": False}
    body = (
        (
            str(trial["run"]),
            trial["label"],
            str(trial["run_seed"]),
            str(trial["number"]),
            trial["kind"],
            _status(trial["status"]),
            number(trial["depth"]),
            number(trial["epochs_trained"]),
            percent(trial["val_accuracy"]),
            flops(trial["flops"]),
            seconds(trial["device_us"] / MICROSECONDS_PER_SECOND),
            trial["reason"] or ("" if trial["reused_from"] is None else f"answered from {trial['reused_from']}"),
        )
        for trial in trials
    )
    return table(columns, body)


def local_time(moment: datetime) -> str:
    """To the minute, in this machine's time zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _listing(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _status(status: str) -> Text:
    return Text(status, style=STYLES.get(status, ""))
