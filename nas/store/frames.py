"""Tables and views as data frames, with the types that the schema promises, whatever the database returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import JSON, Connection, Double, Integer, column, select, table
from sqlalchemy.types import TypeEngine

from nas.store.models import ArchitectureRow, Base, StudyRow, TrialRow, Utc
from nas.store.views import VIEWS
from search_spaces.errors import StoreError

VIEW_ORDER = ("study_id", "run", "finish_order", "number", "epoch", "level", "position")


def read_frame(
    connection: Connection, name: str, study_id: int | None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """All rows of a table or view, or those of one study, in the order of their keys.

    Raises:
        StoreError: there is no such table, view or column.
    """
    all_types = _columns(name)
    types = {key: _type(name, key, all_types) for key in columns or all_types}
    source = table(name, *(column(key, kind) for key, kind in all_types.items()))
    query = select(*(source.c[key] for key in types)).order_by(*(source.c[key] for key in _order(name, all_types)))
    if study_id is not None:
        key, owned = _ownership(name, study_id)
        query = query.where(source.c[key].in_(owned))
    rows = connection.execute(query).all()
    values = zip(*rows, strict=True) if rows else ([] for _ in types)
    return pd.DataFrame({key: _series(column, kind) for (key, kind), column in zip(types.items(), values, strict=True)})


def _columns(name: str) -> Mapping[str, TypeEngine[Any]]:
    if name in VIEWS:
        return VIEWS[name].columns
    if name in Base.metadata.tables:
        return {column.name: column.type for column in Base.metadata.tables[name].columns}
    raise StoreError(f"there is no table {name!r}; allowed: {', '.join([*sorted(Base.metadata.tables), *VIEWS])}")


def _type(name: str, key: str, types: Mapping[str, TypeEngine[Any]]) -> TypeEngine[Any]:
    if key not in types:
        raise StoreError(f"{name} has no column {key!r}; allowed: {', '.join(types)}")
    return types[key]


def _order(name: str, types: Mapping[str, object]) -> Sequence[str]:
    if name in VIEWS:
        return [key for key in VIEW_ORDER if key in types]
    return [key.name for key in Base.metadata.tables[name].primary_key]


def _ownership(name: str, study_id: int) -> tuple[str, Any]:
    """The column by which rows belong to a study, and the values that belong to this one."""
    if name == StudyRow.__tablename__:
        return "id", [study_id]
    if name == ArchitectureRow.__tablename__:
        return "id", select(TrialRow.architecture_id).where(TrialRow.study_id == study_id)
    return "study_id", [study_id]


def _series(values: Sequence[Any], kind: TypeEngine[Any]) -> pd.Series[Any]:
    match kind:
        case Integer():
            return pd.Series(values, dtype="Int64")
        case Double():
            return pd.Series(values, dtype="float64")
        case Utc():
            return pd.Series(values, dtype="datetime64[us, UTC]")
        case JSON():
            return pd.Series(values, dtype="object")
        case _:
            return pd.Series(values, dtype="str")
