"""What the read commands write on standard output: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

UNLIMITED = 10_000
"""Columns of a terminal that is none: a pipe or a file gets every row on one line, whole."""

Row = Mapping[str, Any]
"""One row in builtins, None where there is no value."""


class Format(StrEnum):
    """How to write a result."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame in builtins; None for whatever is missing."""
    columns = {str(name): [_builtin(value) for value in column] for name, column in frame.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def distinct(names: Iterable[str]) -> list[str]:
    """Names of columns, those that repeat numbered: a, b, a_2."""
    counts: Counter[str] = Counter()
    numbered = []
    for name in names:
        counts[name] += 1
        numbered.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return numbered


def write_json(value: object) -> None:
    """One JSON document; times in ISO 8601."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_as_json) + "\n")


def write_csv(names: Sequence[str], records: Iterable[Row]) -> None:
    """A header and the rows; nothing where a value is missing, JSON where it is no scalar."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_as_text(record[name]) for name in names] for record in records)


def write(*renderables: RenderableType) -> None:
    """Anything for people."""
    terminal = Console(markup=False, highlight=False)
    console = terminal if terminal.is_terminal else Console(markup=False, highlight=False, width=UNLIMITED)
    for renderable in renderables:
        console.print(renderable)


def table(columns: Mapping[str, bool], body: Iterable[Sequence[str | Text]], *, wrap_all: bool = False) -> Table:
    """A table on whose narrow screens only the last column wraps, or all.

    Args:
        columns: names, and whether a column holds numbers, which stand on the right.
        body: the cells.
        wrap_all: for columns of whatever width.
    """
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for position, (name, is_number) in enumerate(columns.items(), start=1):
        wraps = wrap_all or position == len(columns)
        made.add_column(Text(name), justify="right" if is_number else "left", overflow="fold", no_wrap=not wraps)
    for cells in body:
        made.add_row(*cells)
    return made


def any_table(records: Sequence[Row], names: Sequence[str]) -> Table:
    """A table of values as they are."""
    numbers = {name: all(_is_number(record[name]) for record in records) for name in names}
    body = ([_as_text(record[name]) for name in names] for record in records)
    return table(numbers, body, wrap_all=True)


def _builtin(value: Any) -> Any:
    if isinstance(value, dict | list | str):
        return value
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _as_text(value: object) -> str:
    match value:
        case None:
            return ""
        case dict() | list() | bool():
            return json.dumps(value, ensure_ascii=False)
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
