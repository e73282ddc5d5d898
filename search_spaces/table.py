"""A table of networks that were really trained, ready to be looked up.

Shapes: N rows, F fidelities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Option
from search_spaces.columns import Columns
from search_spaces.errors import InvalidInput
from search_spaces.genotype import EDGES, OPERATIONS, canonical
from search_spaces.mapping import GENOTYPE, Answers, Observation, Quantity, TableMapping
from search_spaces.values import read
from search_spaces.yaml_text import read_yaml

MICROSECONDS = 1e6
MAX_WHOLE = 2**62
"""Amounts beyond this cannot be counted."""
MAX_ANSWERS = 10_000
"""Of one decision: more are rather a measurement than a choice."""
CACHED_TABLES = 4

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, eq=False)
class Fidelity:
    """What training for so many epochs shows and costs, by row."""

    epochs: int
    score_N: Floats
    device_us_N: Ints | None
    flops_N: Ints | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Every column by its meaning. Rows stand in the order of the file."""

    name: str
    decisions: Mapping[str, tuple[Option, ...]]
    """The options of every decision, in the order of asking."""
    row_of: Ints
    """The row of every combination of answers, whose indices are digits, the last decision's the fastest."""
    answers: tuple[Ints, ...]
    """For every decision, the index of each row's answer among the options `[N]`."""
    first_equal_N: Ints
    """Of the rows that are the same network, the one whose answers come first among the options, decision by decision.

    For genotypes that is the canonical one, in which edges that lead nowhere are `none`.
    """
    fidelities: Mapping[int, Fidelity]
    """By epochs, ascending."""
    are_genotypes: bool
    """Whether the decisions are the edges of a cell (`search_spaces.genotype`), in its order."""
    truth_N: Floats
    depth_N: Ints
    inference_flops_N: Ints | None
    num_parameters_N: Ints | None

    def __len__(self) -> int:
        return len(self.truth_N)

    def decisions_of(self, row: int) -> dict[str, Option]:
        """The answers that lead to a row."""
        options = self.decisions.items()
        return {name: of_one[index_N[row]] for (name, of_one), index_N in zip(options, self.answers, strict=True)}


def read_table(path: Path, mapping: Path | Mapping[str, Any]) -> Table:
    """The table in `path`, as `mapping` (a YAML file, or what would stand in it) explains it.

    Raises:
        InvalidInput: a file is missing or damaged, the mapping breaks a rule, or the table has holes, duplicates, NaN
            or values of the wrong type; the field is that of the mapping.
    """
    if isinstance(mapping, Path):
        return _read_files(path, mapping, path.stat().st_mtime_ns if path.exists() else 0)
    return _make_table(Columns(path), read(TableMapping, mapping))


@lru_cache(maxsize=CACHED_TABLES)
def _read_files(path: Path, mapping: Path, _version: int) -> Table:
    return _make_table(Columns(path), read(TableMapping, _read_mapping(mapping)))


def _read_mapping(path: Path) -> Mapping[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, Mapping):
        raise InvalidInput(f"{path} must hold a mapping with name, decisions, observations and truth")
    return content


def _make_table(columns: Columns, mapping: TableMapping) -> Table:
    if columns.num_rows == 0:
        raise InvalidInput(f"{columns.path} has no rows")

    def number(field: str, quantity: Quantity | None) -> Floats | None:
        if quantity is None:
            return None
        values_N = _named(field, lambda: columns.numbers(quantity.column, quantity.scale))
        return values_N if quantity.at_least is None else np.maximum(values_N, quantity.at_least)

    def amount(field: str, quantity: Quantity | None, scale: float = 1.0) -> Ints | None:
        values_N = number(field, quantity)
        return None if values_N is None else _named(field, lambda: _whole(values_N * scale))

    def fidelity(index: int, one: Observation) -> Fidelity:
        field = f"observations.{index}"
        return Fidelity(
            epochs=one.epochs,
            score_N=_share(f"{field}.score", number(f"{field}.score", one.score)),
            device_us_N=amount(f"{field}.seconds", one.seconds, MICROSECONDS),
            flops_N=amount(f"{field}.flops", one.flops),
        )

    questions = {
        name: _named(f"decisions.{name}", lambda answers=answers: _question(columns, answers))  # type: ignore[misc]
        for name, answers in mapping.decisions.items()
    }
    decisions = {name: options for name, (options, _) in questions.items()}
    answers = tuple(index_N for _, index_N in questions.values())
    row_of = _named("decisions", lambda: _rows(decisions, answers))
    fidelities = [fidelity(index, one) for index, one in enumerate(mapping.observations)]
    depth_N = amount("depth", mapping.depth)
    return Table(
        name=mapping.name,
        decisions=decisions,
        row_of=row_of,
        answers=answers,
        first_equal_N=_named("equal", lambda: _first_equal(columns, mapping.equal, decisions, answers)),
        are_genotypes=mapping.equal == GENOTYPE,
        fidelities={one.epochs: one for one in sorted(fidelities, key=lambda one: one.epochs)},
        truth_N=_share("truth", number("truth", mapping.truth)),
        depth_N=np.full(columns.num_rows, len(decisions)) if depth_N is None else depth_N,
        inference_flops_N=amount("flops", mapping.flops),
        num_parameters_N=amount("parameters", mapping.parameters),
    )


def _question(columns: Columns, answers: Answers) -> tuple[tuple[Option, ...], Ints]:
    """The options of a decision, and the index of every row's answer among them."""
    values = columns.column(answers.column)
    if values.dtype.kind not in "biufUOT":
        raise InvalidInput(f"{answers.column} must hold numbers or text, got {values.dtype}")
    listed = values.tolist()
    for row, value in enumerate(listed):
        if not isinstance(value, bool | int | float | str) or value != value or value in (math.inf, -math.inf):
            raise InvalidInput(f"{answers.column} must have an answer in every row, got {value!r} in row {row}")
    if len({type(value) for value in listed}) > 1:
        raise InvalidInput(f"{answers.column} must have answers of one type, got both numbers and text")
    distinct = sorted(set(listed))
    if len(distinct) > MAX_ANSWERS:
        raise InvalidInput(f"{answers.column} must have at most {MAX_ANSWERS} answers, got {len(distinct)}")
    position = {value: index for index, value in enumerate(distinct)}
    options = _labels(columns, answers, distinct)
    return options, np.array([position[value] for value in listed], dtype=np.int64)


def _labels(columns: Columns, answers: Answers, distinct: list[Any]) -> tuple[Option, ...]:
    if answers.labels is None:
        return tuple(distinct)
    labels = columns.array(answers.labels).tolist() if isinstance(answers.labels, str) else list(answers.labels)
    for value in distinct:
        if not isinstance(value, int) or not 0 <= value < len(labels):
            raise InvalidInput(f"{answers.column} must hold positions among the {len(labels)} labels, got {value!r}")
    named = [labels[value] for value in distinct]
    if len(set(named)) != len(named):
        raise InvalidInput(f"labels must be distinct, got {named}")
    return tuple(named)


def _rows(decisions: Mapping[str, tuple[Option, ...]], answers: tuple[Ints, ...]) -> Ints:
    """The row of every combination of answers."""
    num_options = [len(options) for options in decisions.values()]
    num_rows, num_combinations = len(answers[0]), math.prod(num_options)
    if num_combinations > 2 * num_rows + 1_000_000:  # far too many holes to look for them one by one
        raise InvalidInput(f"must have a row for every combination: {num_rows} rows, {num_combinations} combinations")
    code_N = np.ravel_multi_index(answers, num_options)
    counts = np.bincount(code_N, minlength=num_combinations)
    for how_many, is_bad in (("none", counts == 0), ("several", counts > 1)):
        bad = np.flatnonzero(is_bad)
        if len(bad):
            index = np.unravel_index(bad[0], num_options)
            shown = {name: options[i] for (name, options), i in zip(decisions.items(), index, strict=True)}
            raise InvalidInput(
                f"must have one row for every combination, got {how_many} for {shown} ({len(bad)} such combinations)"
            )
    row_of = np.empty(num_combinations, dtype=np.int64)
    row_of[code_N] = np.arange(num_rows)
    return row_of


def _first_equal(
    columns: Columns, equal: str | None, decisions: Mapping[str, tuple[Option, ...]], answers: tuple[Ints, ...]
) -> Ints:
    if equal is None:
        return np.arange(columns.num_rows)
    identities = _genotypes(decisions, answers) if equal == GENOTYPE else columns.column(equal).tolist()
    first: dict[Any, int] = {}
    for row in np.lexsort(answers[::-1]).tolist():
        first.setdefault(identities[row], row)
    return np.array([first[identity] for identity in identities], dtype=np.int64)


def _genotypes(decisions: Mapping[str, tuple[Option, ...]], answers: tuple[Ints, ...]) -> list[tuple[str, ...]]:
    if len(decisions) != len(EDGES) or not all(set(options) <= set(OPERATIONS) for options in decisions.values()):
        raise InvalidInput(f"{GENOTYPE} needs {len(EDGES)} decisions whose answers are among {', '.join(OPERATIONS)}")
    edges = [np.array(options)[index_N].tolist() for options, index_N in zip(decisions.values(), answers, strict=True)]
    return [canonical(genotype) for genotype in zip(*edges, strict=True)]


def _share(field: str, values_N: Floats | None) -> Floats:
    assert values_N is not None, "a required column"
    outside = np.flatnonzero((values_N < 0) | (values_N > 1))
    if len(outside):
        raise InvalidInput(
            f"must be an accuracy in [0, 1], got {values_N[outside[0]]:g} in row {outside[0]}: "
            "percent need `scale: 0.01`",
            field=field,
        )
    return values_N


def _whole(values_N: Floats) -> Ints:
    outside = np.flatnonzero((values_N < 0) | (values_N > MAX_WHOLE))
    if len(outside):
        raise InvalidInput(f"must be between 0 and {MAX_WHOLE}, got {values_N[outside[0]]:g} in row {outside[0]}")
    return np.rint(values_N).astype(np.int64)


def _named(field: str, function: Callable[[], Result]) -> Result:
    """What `function` returns; an error names the field of the mapping."""
    try:
        return function()
    except InvalidInput as error:
        raise error.within(field) from None
