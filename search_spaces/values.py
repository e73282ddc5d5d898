"""JSON round trip for frozen dataclasses, with the validation that their types promise."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from search_spaces.errors import InvalidInput

Value = TypeVar("Value")

CONFIG = ConfigDict(
    extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False, use_attribute_docstrings=True
)
"""Configuration for every value that a person may write: unknown fields and NaN are refused."""


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def dump(value: object) -> dict[str, Any]:
    """`value`, a dataclass, as JSON-compatible builtins. `load` is the inverse."""
    data: dict[str, Any] = _adapter(type(value)).dump_python(value, mode="json")
    return data


def load(cls: type[Value], data: object) -> Value:
    """A `cls` from builtins.

    Raises:
        InvalidInput: a field is missing, unknown or of the wrong type; the message names it.
    """
    try:
        value: Value = _adapter(cls).validate_python(data)
    except ValidationError as error:
        raise explain(error) from None
    return value


def explain(error: ValidationError) -> InvalidInput:
    """The first complaint of pydantic as one line that names the field and what is allowed."""
    details = error.errors(include_url=False)
    first = details[0]
    names = [str(part) for part in first["loc"] if not _is_internal(part)]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInput):
        return cause.within(".".join(names))
    return InvalidInput(_sentence(first), field=".".join(names))


def _is_internal(part: int | str) -> bool:
    """Pydantic puts validator and union branch names among the field names; people never wrote them."""
    return isinstance(part, str) and any(sign in part for sign in "[]()-")


def _sentence(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing" | "missing_keyword_only_argument" | "missing_argument":
            return "is required"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "is not a known field"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            message = detail["msg"].replace("Input should be", "must be").replace("valid tuple", "list")
            return f"{message}, got {detail['input']!r}"
