"""What every method found of the trade-off between accuracy and size: its front, and the hypervolume of its runs.

The points are all networks that a run trained to the end, scored by validation; one whose depth depends on the input is
a point at each of its settings. A method's front is that of all its runs; its hypervolume is the mean over runs, each
with its own front. Volume is a share of one box for all methods: from accuracy 0 and the size of the largest network
that any run trained to accuracy 1 and size 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from controllers.objectives import Objective
from controllers.trial import SCORE, Kind, Status
from nas.comparison_tables import in_percent
from nas.output import Format, Row, rows, table, write, write_csv, write_json
from nas.pareto import hypervolume, on_front
from nas.quantities import flops, number, percent
from nas.settings import with_settings
from nas.statistics.bootstrap import mean
from nas.statistics.estimate import Estimate
from search_spaces.errors import InvalidInput

DEFAULT_OBJECTIVES = f"{Objective.VAL_ACCURACY},{Objective.INFERENCE_FLOPS}"
MIN_OBJECTIVES = 2
POINTS = (Kind.ARCHITECTURE, Kind.CONTINUATION)
"""Kinds of trials that leave a trained network of the search."""
ABOUT = ("label", "seed", "run", "number", "architecture_id", "depth", "setting", "on_joint_front")
"""Columns of a front beside the objectives."""
TITLES = {
    Objective.VAL_ACCURACY: "val. %",
    Objective.INFERENCE_FLOPS: "inference",
    Objective.NUM_PARAMETERS: "parameters",
}


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the runs of one label found."""

    label: str
    num_runs: int
    num_scored: int
    """Runs that trained at least one network to the end."""
    num_points: int
    """On the method's front."""
    num_joint: int
    """Of these, how many are on the front of all methods."""
    hypervolume: Estimate | None
    """Mean over the scored runs, as a share of the box."""


@dataclass(frozen=True, kw_only=True)
class Fronts:
    """The fronts of a study."""

    study: str
    objectives: tuple[Objective, ...]
    reference: Mapping[str, float]
    """The worst corner of the box."""
    methods: tuple[Front, ...]
    """In the order of the study file."""
    points: pd.DataFrame
    """One row per point of a method's front, the columns of `ABOUT` and the objectives."""

    def document(self) -> Row:
        """Everything, in JSON types."""
        return {
            "study": self.study,
            "objectives": list(self.objectives),
            "reference": dict(self.reference),
            "methods": [asdict(front) for front in self.methods],
            "points": rows(self.points),
        }

    def tables(self) -> Iterator[Table | Text]:
        """For people."""
        names = " against ".join(self.objectives)
        yield Text.assemble("Study ", (self.study, "bold"), f", {names}. [ ] are 95 % intervals.\n")
        yield Text.assemble(("Hypervolume, %:", "bold"), " what a run dominates of the box up to ", self._corner())
        columns = {"method": False, "runs": True, "mean": False, "on its front": True, "on the joint front": True}
        yield table(columns, (_summary_cells(front) for front in self.methods))
        yield Text("\nFronts (* on the joint front)", style="bold")
        columns = {"method": False, **{TITLES[objective]: True for objective in self.objectives}}
        columns |= {"depth": True, "seed": True, "run": True, "trial": True, "setting": False, "": False}
        yield table(columns, (self._point_cells(point) for point in rows(self.points)))

    def _corner(self) -> str:
        return ", ".join(f"{name} {_shown(Objective(name), value)}" for name, value in self.reference.items())

    def _point_cells(self, point: Row) -> Sequence[str]:
        values = (_shown(objective, point[objective]) for objective in self.objectives)
        about = (number(point[name]) for name in ("depth", "seed", "run", "number"))
        return (point["label"], *values, *about, point["setting"], "*" if point["on_joint_front"] else "")


def read_objectives(text: str) -> tuple[Objective, ...]:
    """Objectives from their names, separated by commas.

    Raises:
        InvalidInput: there is no such objective, there are fewer than two, or one is named twice.
    """
    names = [name.strip() for name in text.split(",")]
    allowed = ", ".join(Objective)
    for name in names:
        if name not in list(Objective):
            raise InvalidInput(f"must be some of {allowed}, got {name!r}", field="objectives")
    if len(set(names)) < max(MIN_OBJECTIVES, len(names)):
        rule = f"must be at least {MIN_OBJECTIVES} different ones of {allowed}"
        raise InvalidInput(f"{rule}, got {text!r}", field="objectives")
    return tuple(Objective(name) for name in names)


def pareto_fronts(
    runs: pd.DataFrame, trials: pd.DataFrame, points: pd.DataFrame, objectives: Sequence[Objective]
) -> Fronts:
    """The fronts of one study.

    Args:
        runs: one row per run, as the view `v_compare` gives.
        trials: one row per trial, as the table `trials` gives.
        points: one row per operating point, as the table `operating_points` gives.
        objectives: two or more.
    """
    names = [str(objective) for objective in objectives]
    labels = list(dict.fromkeys(runs.sort_values("run")["label"]))
    study = str(runs["study"].iloc[0])
    trials = with_settings(trials.assign(study=study), points.assign(study=study)).drop(columns="study")
    is_point = trials["kind"].isin(POINTS) & (trials["status"] == Status.COMPLETE)
    found = trials[is_point].dropna(subset=names).drop(columns="seed").merge(runs[["run", "label", "seed"]], on="run")
    # A repeat of a network within a run is no other point.
    found = found.sort_values(["run", "number"]).drop_duplicates(["run", "architecture_id", *names], ignore_index=True)
    reference = {one: _worst(found[one], one) for one in objectives}
    losses_ND = np.column_stack([_loss(found[one], one, worst) for one, worst in reference.items()])
    found["on_joint_front"] = on_front(losses_ND)
    fronts = {}
    own_fronts = []
    for label in labels:
        of_label_N = (found["label"] == label).to_numpy()
        own, own_losses_ND = found[of_label_N], losses_ND[of_label_N]
        front = own[on_front(own_losses_ND)].sort_values([name for name in names if name != SCORE])
        own_fronts.append(front)
        volumes = [hypervolume(own_losses_ND[own["run"] == run], np.ones(len(names))) for run in own["run"].unique()]
        fronts[label] = Front(
            label=label,
            num_runs=int((runs["label"] == label).sum()),
            num_scored=len(volumes),
            num_points=len(front),
            num_joint=int(front["on_joint_front"].sum()),
            hypervolume=mean([volumes]) if volumes else None,
        )
    return Fronts(
        study=study,
        objectives=tuple(objectives),
        reference={str(one): worst for one, worst in reference.items()},
        methods=tuple(fronts.values()),
        points=pd.concat(own_fronts, ignore_index=True)[[*ABOUT, *names]],
    )


def write_fronts(fronts: Fronts, format: Format) -> None:
    """On standard output; as CSV the points alone."""
    match format:
        case Format.JSON:
            write_json(fronts.document())
        case Format.CSV:
            write_csv([str(name) for name in fronts.points.columns], rows(fronts.points))
        case Format.TABLE:
            write(*fronts.tables())


def _worst(values: pd.Series[Any], objective: Objective) -> float:
    return 0.0 if objective.is_maximised else float(values.max() if len(values) else 0)


def _loss(values: pd.Series[Any], objective: Objective, worst: float) -> NDArray[np.float64]:
    """In [0, 1], 0 being perfect, `[N]`."""
    values_N = values.to_numpy(dtype=np.float64)
    return 1 - values_N if objective.is_maximised else values_N / max(worst, 1.0)


def _summary_cells(front: Front) -> Sequence[str]:
    return (
        front.label,
        f"{front.num_scored}/{front.num_runs}",
        in_percent(front.hypervolume),
        number(front.num_points),
        number(front.num_joint),
    )


def _shown(objective: Objective, value: float) -> str:
    match objective:
        case Objective.VAL_ACCURACY:
            return percent(value)
        case Objective.INFERENCE_FLOPS:
            return flops(value)
        case Objective.NUM_PARAMETERS:
            return number(value)
