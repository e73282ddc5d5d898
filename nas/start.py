"""Where a method starts: architectures, a coarse slice of the grid, or the best of an earlier study.

    start_from: [{depth: 4}, {depth: 8}]
    start_from: {grid: {over: [depth], order: coarse_to_fine}, top: 5}
    start_from: {study: earlier, label: evolution, top: 3}

An earlier study is looked up once, when the new one is created: what is stored is a list of architectures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from search_spaces.architecture import Architecture, Option
from search_spaces.complaints import show
from search_spaces.errors import InvalidArchitecture, InvalidInput
from search_spaces.values import read

if TYPE_CHECKING:
    from nas.store import Store
    from search_spaces.space import SearchSpace

CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class GridSlice:
    """The first points of a grid."""

    grid: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of the method `grid`."""
    top: int = Field(ge=1)
    """How many of its points, in its order."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class EarlierStudy:
    """The best architectures that another study of the same database has trained."""

    study: str
    """Its name."""
    label: str | None = None
    """Only those of this method; none: of all."""
    top: int = Field(default=1, ge=1)
    """How many, by validation accuracy."""


Decisions = Mapping[str, Option]
Start = tuple[Decisions, ...] | GridSlice | EarlierStudy


def _start(value: object) -> object:
    """Tell the forms apart, so that a message speaks of the one that was meant."""
    match value:
        case None | GridSlice() | EarlierStudy():
            return value
        case [*architectures] if architectures and all(isinstance(one, Mapping) for one in architectures):
            return tuple(architectures)
        case {"study": study, **rest}:
            return read(EarlierStudy, {"study": study, **_fields(rest)})
        case {"grid": grid, **rest}:
            return read(GridSlice, {"grid": grid, **_fields(rest)})
    raise InvalidInput(
        f"must be a list of architectures, {{grid: FIELDS, top: N}} or {{study: NAME, top: N}}, got {show(value)}"
    )


def _fields(rest: Mapping[object, object]) -> dict[str, Any]:
    return {str(name): value for name, value in rest.items()}


StartFrom = Annotated[Start | None, BeforeValidator(_start)]


def first_architectures(start: Start, space: SearchSpace, *, seed: int) -> Sequence[Architecture]:
    """The architectures that a method starts from.

    Args:
        start: architectures or a slice; an earlier study must have been looked up.
        space: of the study.
        seed: of the method, for a shuffled grid.

    Raises:
        InvalidInput: one of them is no point of the space.
    """
    from controllers.grid import Grid
    from search_spaces.compose import answer

    assert not isinstance(start, EarlierStudy), "an earlier study is looked up before a plan is made"
    if isinstance(start, GridSlice):
        try:
            points = read(Grid, start.grid, filled_in={"space": space, "seed": seed}).points()
        except InvalidInput as error:
            raise error.within("grid") from None
        return points[: start.top]
    try:
        return [answer(space, decisions, partial=True) for decisions in start]
    except InvalidArchitecture as error:
        raise InvalidInput(str(error)) from None


def look_up(start: EarlierStudy, store: Store) -> tuple[Decisions, ...]:
    """The decisions of the best architectures of an earlier study, best first, each network once.

    Raises:
        StoreError: there is no such study.
        InvalidInput: it has no such method, or has not completed a trial.
    """
    runs = store.frame("v_compare", start.study)
    if start.label is not None and start.label not in set(runs["label"]):
        raise InvalidInput(f"must be one of {', '.join(runs['label'].unique())}, got {start.label!r}", field="label")
    trials = store.frame("trials", start.study).merge(runs[["run", "label"]], on="run")
    done = trials[(trials["status"] == "complete") & (trials["kind"] == "architecture")]
    if start.label is not None:
        done = done[done["label"] == start.label]
    best = done.sort_values("val_accuracy", ascending=False, kind="stable").drop_duplicates("architecture_id")
    if best.empty:
        raise InvalidInput(f"{start.study} has not completed a trial yet", field="study")
    return tuple(best["decisions"].head(start.top))
