"""Frozen dataclasses from and to JSON, with the validation that their types promise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from search_spaces.complaints import explain, refuse_conversions
from search_spaces.errors import InvalidInput

Value = TypeVar("Value")

CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False, use_attribute_docstrings=True)
"""Configuration for every value that a person may write: unknown fields and NaN are refused."""


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def dump(value: object) -> dict[str, Any]:
    """`value`, a dataclass, as JSON-compatible builtins. `load` is the inverse."""
    data: dict[str, Any] = _adapter(type(value)).dump_python(value, mode="json")
    return data


def load(cls: type[Value], data: object) -> Value:
    """A `cls` from what `dump` made.

    Raises:
        InvalidInput: a field is missing, unknown or of the wrong type; the message names it.
    """
    try:
        value: Value = _adapter(cls).validate_python(data)
    except ValidationError as error:
        raise explain(error, cls) from None
    return value


def read(
    cls: type[Value],
    fields: Mapping[str, Any],
    *,
    filled_in: Mapping[str, Any] | None = None,
    beside: Collection[str] = (),
) -> Value:
    """A `cls` from what a person wrote: nothing is converted silently.

    Args:
        cls: a pydantic dataclass; perhaps a class of the user's own that is none.
        fields: those that a person may write.
        filled_in: those that nobody may write, because the service knows them.
        beside: names of fields that belong beside these in the file, for the message about unknown ones.

    Raises:
        InvalidInput: a field is missing, unknown, of the wrong type or filled in; the message names it.
    """
    known = filled_in or {}
    for name in known.keys() & fields.keys():
        raise InvalidInput("is set by the task or the study, not in the file", field=name)
    try:
        value: Value = _adapter(cls).validate_python({**fields, **known})
    except ValidationError as error:
        raise explain(error, cls, hidden=known, beside=beside) from None
    except (PydanticUserError, TypeError) as error:
        raise InvalidInput(f"{cls!r} is not a dataclass that can be read from a file: {error}") from None
    refuse_conversions(fields, value)
    return value
