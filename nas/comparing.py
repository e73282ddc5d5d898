"""What `nas compare` does: read studies, refuse what cannot be compared fairly, write what was asked for."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from rich.console import RenderableType

from nas import output
from nas.anytime import CURVE_COLUMNS, DEFAULT_SHARES, Moment, moments
from nas.caps import TRIAL_COLUMNS, Cap, under_caps
from nas.comparison import Comparison, compare
from nas.comparison_rows import cap_rows, moment_rows, profile_rows, stability_rows
from nas.comparison_tables import comparison_tables
from nas.merging import Spec, task_names
from nas.objections import objections
from nas.output import Format
from nas.settings import POINT_COLUMNS
from nas.store import Store
from nas.verdict import verdict
from search_spaces.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Studies as they are stored."""

    names: tuple[str, ...]
    specs: dict[str, Spec]
    """By name."""
    runs: pd.DataFrame
    """Of all of them, with `task` and `root_seed`."""


def compare_studies(
    store: Store,
    studies: Sequence[str],
    *,
    baseline: str | None,
    margin: float,
    caps: Sequence[str],
    shares: str | None,
    force: bool,
    format: Format,
) -> None:
    """Write the comparison of one or more studies on standard output.

    Args:
        store: where they are.
        studies: names or ids.
        baseline: a label, or none for the default.
        margin: in points of accuracy.
        caps: numbers of FLOPs, or lists of them.
        shares: a list of shares of the budget.
        force: whether objections are only warnings.
        format: of what is written.

    Raises:
        InvalidInput: an option is not what it must be, or there is an objection.
        StoreError: there is no such study.
    """
    cap_flops = _numbers("--cap", ",".join(caps), "above 0", lambda value: value > 0) if caps else []
    at = _numbers("--at", shares, "above 0 and at most 1", lambda value: 0 < value <= 1) if shares is not None else []
    if not 0 < margin <= 100:
        raise InvalidInput(f"must be above 0 and at most 100 points, got {margin:g}", field="--margin")
    loaded = _load(store, studies)
    comparison = _compare(loaded, baseline, margin / 100)
    objected = objections(loaded.runs, comparison.baseline, loaded.specs)
    if objected and not force:
        raise InvalidInput(f"no fair comparison: {'; '.join(objected)}; --force compares all the same")
    for objection in objected:
        print(f"warning: {objection}", file=sys.stderr)
    match format:
        case Format.JSON:
            then = _moments(store, loaded, comparison, at or DEFAULT_SHARES)
            document = _document(comparison, then, _under_caps(store, loaded, comparison, cap_flops))
            output.write_json({**document, "objections": objected})
        case Format.CSV:
            frame = comparison.frame()
            output.write_csv([str(name) for name in frame.columns], output.rows(frame))
        case Format.TABLE:
            then = _moments(store, loaded, comparison, at)
            output.write(*comparison_tables(comparison, then, _under_caps(store, loaded, comparison, cap_flops)))


def closing_tables(store: Store, study: str) -> Iterator[RenderableType]:
    """The comparison with which a study ends. It refuses nothing: objections are among its notes."""
    loaded = _load(store, [study])
    comparison = compare(loaded.runs)
    objected = objections(loaded.runs, comparison.baseline, loaded.specs)
    yield from comparison_tables(replace(comparison, notes=(*objected, *comparison.notes)))


def _load(store: Store, studies: Sequence[str]) -> Loaded:
    specs: dict[str, Spec] = {}
    for study in studies:
        ((name, spec),) = store.frame("studies", study, ["name", "spec"]).itertuples(index=False)
        if name in specs:
            raise InvalidInput(f"a study can be compared with others once, but {name} is named twice")
        specs[name] = spec
    runs = pd.concat([store.frame("v_compare", name) for name in specs], ignore_index=True)
    tasks = task_names(specs)
    roots = {name: spec.get("seed", 0) for name, spec in specs.items()}
    runs = runs.assign(task=runs["study"].map(tasks), root_seed=runs["study"].map(roots))
    return Loaded(names=tuple(specs), specs=specs, runs=runs)


def _compare(loaded: Loaded, baseline: str | None, margin: float) -> Comparison:
    try:
        return compare(loaded.runs, baseline, margin=margin)
    except InvalidInput as error:
        raise InvalidInput(error.message, field=f"--{error.field}" if error.field else "") from None


def _moments(store: Store, loaded: Loaded, comparison: Comparison, shares: Sequence[float]) -> tuple[Moment, ...]:
    if not shares:
        return ()
    return moments(loaded.runs, _frames(store, loaded, "v_incumbent", CURVE_COLUMNS), comparison, shares)


def _under_caps(store: Store, loaded: Loaded, comparison: Comparison, caps: Sequence[float]) -> tuple[Cap, ...]:
    if not caps:
        return ()
    trials = _frames(store, loaded, "trials", TRIAL_COLUMNS)
    points = _frames(store, loaded, "operating_points", POINT_COLUMNS)
    return under_caps(loaded.runs, trials, points, comparison, caps)


def _document(comparison: Comparison, then: Sequence[Moment], caps: Sequence[Cap]) -> dict[str, object]:
    return {
        "study": comparison.study,
        "studies": comparison.studies,
        "tasks": comparison.tasks,
        "baseline": comparison.baseline,
        "margin": comparison.margin,
        "notes": comparison.notes,
        "methods": output.rows(comparison.frame()),
        "anytime": moment_rows(then),
        "rank_stability": stability_rows(then),
        "caps": cap_rows(caps),
        "profiles": profile_rows(comparison),
        "verdict": verdict(comparison),
    }


def _frames(store: Store, loaded: Loaded, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """With the name of the study, which tables lack."""
    frames = [store.frame(name, study, columns).assign(study=study) for study in loaded.names]
    return pd.concat(frames, ignore_index=True)


def _numbers(option: str, text: str, allowed: str, is_allowed: Callable[[float], bool]) -> list[float]:
    values = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and is_allowed(value)):
            raise InvalidInput(f"must be numbers {allowed}, separated by commas, got {part.strip()!r}", field=option)
        values.append(value)
    return sorted(set(values))
