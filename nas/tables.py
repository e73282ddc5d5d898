"""The tables that people read: studies, runs, trials, and the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from controllers.cost import MICROSECONDS_PER_SECOND, Unit
from nas.bootstrap import Estimate
from nas.comparison import Comparison, MethodSummary, Score, without_figures
from nas.output import Row, table
from nas.quantities import NOTHING, amount, flops, number, percent, seconds
from nas.verdict import verdict

STYLES = {"failed": "red", "interrupted": "yellow", "running": "cyan", "complete": "green", "done": "green"}
"""Colours of statuses and phases."""

SCORE_TITLES = {
    "delivered": ("Delivered test accuracy, %:", "the trained model that a run holds when its budget is spent"),
    "retrained": ("Retrained test accuracy, %:", "its architecture after the final protocol, the same for all"),
}


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


def comparison_tables(comparison: Comparison) -> Iterator[Table | Text]:
    """Both scores, what was chosen and spent, and the verdict."""
    yield Text.assemble(
        "Study ", (comparison.study, "bold"), f", baseline {comparison.baseline}. [ ] are 95 % intervals.\n"
    )
    for name, (title, explanation) in SCORE_TITLES.items():
        yield Text.assemble((title, "bold"), f" {explanation}")
        columns = {"method": False, "runs": True, "mean": False, "difference": False, "P(better)": False}
        best = _best(comparison, name)
        yield table(columns, (_score_cells(method, method.scores[name], best) for method in comparison.methods))
        yield Text()
    yield Text("Chosen and spent", style="bold")
    columns = {"method": False, "depth": True, "range": True, "inference": True, "spent %": True, "ended": False}
    yield table(columns, (_choice_cells(method) for method in comparison.methods))
    for sentence in verdict(comparison):
        yield Text(f"\n{sentence}")


def local_time(moment: datetime) -> str:
    """To the minute, in this machine's time zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def in_percent(estimate: Estimate | None, *, sign: bool = False) -> str:
    """A share in [0, 1] and its interval, in percent: `77.5 [75.0, 80.0]`."""
    if estimate is None:
        return NOTHING
    interval = f"[{percent(estimate.low, sign=sign)}, {percent(estimate.high, sign=sign)}]"
    return f"{percent(estimate.value, sign=sign)} {interval if estimate.low is not None else ''}".rstrip()


def _listing(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _status(status: str) -> Text:
    return Text(status, style=STYLES.get(status, ""))


def _best(comparison: Comparison, name: str) -> float | None:
    means = [method.scores[name].accuracy for method in comparison.methods]
    return max((accuracy.value for accuracy in means if accuracy is not None), default=None)


def _score_cells(method: MethodSummary, score: Score, best: float | None) -> Sequence[str | Text]:
    is_best = score.accuracy is not None and score.accuracy.value == best
    style = "bold green" if is_best else ""
    return (
        Text(method.label, style=style),
        f"{score.num}/{method.num_runs}",
        Text(in_percent(score.accuracy), style=style),
        in_percent(score.difference, sign=True),
        _chance(score.improvement),
    )


def _choice_cells(method: MethodSummary) -> Sequence[str]:
    is_range = method.min_depth is not None and method.min_depth != method.max_depth
    return (
        method.label,
        number(method.depth),
        f"{method.min_depth}-{method.max_depth}" if is_range else NOTHING,
        flops(method.inference_flops),
        percent(method.spent_share),
        method.ended or NOTHING,
    )


def _chance(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    interval = f" [{estimate.low:.2f}, {estimate.high:.2f}]" if estimate.low is not None else ""
    return f"{estimate.value:.2f}{interval}"
