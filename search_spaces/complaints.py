"""What is wrong with a value that a person wrote: one line that names the field and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from search_spaces.errors import InvalidInput

MAX_SHOWN = 80
"""Characters of a wrong value that a message repeats."""

MISSING = object()

RULES = {
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text (in quotes if it could be read as something else)",
    "path_type": "must be a path",
    "missing": "is required",
    "missing_keyword_only_argument": "is required",
    "missing_argument": "is required",
}
"""Pydantic's complaints in the words of somebody who writes YAML."""
YAML_WORDS = {"None": "null", "True": "true", "False": "false"}
REQUIRED = "is required"
ENUM_MEMBER = re.compile(r"<\w+\.\w+: |>")
"""What pydantic writes around the value of an enumeration's member."""


def explain(
    error: ValidationError, cls: Any, *, hidden: Collection[str] = (), beside: Collection[str] = ()
) -> InvalidInput:
    """The first complaint of pydantic about a `cls`.

    Args:
        error: pydantic's.
        cls: what was to be read.
        hidden: fields of `cls` that a message should not offer.
        beside: names that it should offer besides the fields of `cls`.
    """
    first = error.errors(include_url=False)[0]
    names = [str(part) for part in first["loc"] if not _is_internal(part)]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInput):
        return cause.within(".".join(names))
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        owner = _owner(cls, first["loc"][:-1])
        allowed = [name for name in _fields(owner) if name not in hidden]
        offered = [*allowed, *(beside if owner is cls else ())]
        return InvalidInput(f"is not a known field; allowed: {', '.join(offered) or 'none'}", field=".".join(names))
    return InvalidInput(_sentence(first), field=".".join(names))


def refuse_conversions(written: object, value: object, field: str = "") -> None:
    """Refuse what pydantic converts although it is probably a slip: `"20"`, `true` or `20.0` for 20, `1` for true.

    Args:
        written: what a person wrote.
        value: what it became.
        field: dotted path of both.

    Raises:
        InvalidInput: there is such a conversion in it.
    """
    if isinstance(written, Mapping):
        for name, part in written.items():
            became = value.get(name, MISSING) if isinstance(value, Mapping) else getattr(value, str(name), MISSING)
            refuse_conversions(part, became, f"{field}.{name}" if field else str(name))
    elif isinstance(written, list | tuple) and isinstance(value, list | tuple) and len(written) == len(value):
        for index, (part, became) in enumerate(zip(written, value, strict=True)):
            refuse_conversions(part, became, f"{field}.{index}")
    elif isinstance(value, bool) and not isinstance(written, bool):
        raise InvalidInput(f"must be true or false, got {show(written)}", field=field)
    elif isinstance(value, int) and isinstance(written, float):
        raise InvalidInput(f"must be a whole number without a decimal point, got {written}: write {value}", field=field)
    elif isinstance(value, int | float) and not isinstance(value, bool) and isinstance(written, bool | str):
        kind = "whole number" if isinstance(value, int) else "number"
        raise InvalidInput(f"must be a {kind}, got {show(written)}", field=field)


def show(value: object) -> str:
    """A value as it might stand in the file."""
    text = YAML_WORDS.get(repr(value)) or (str(value) if isinstance(value, date) else repr(value))
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _sentence(detail: ErrorDetails) -> str:
    kind, written, context = detail["type"], show(detail["input"]), detail.get("ctx", {})
    if RULES.get(kind) == REQUIRED:
        return REQUIRED
    if kind in RULES:
        return f"{RULES[kind]}, got {written}"
    match kind:
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"must be at least {context['ge']}, got {written}"
        case "less_than_equal":
            return f"must be at most {context['le']}, got {written}"
        case "too_short":
            return f"must have at least {context['min_length']} item, got {written}"
        case "string_too_short":
            return f"must not be empty, got {written}"
        case "literal_error" | "enum":
            return f"must be {ENUM_MEMBER.sub('', context['expected'])}, got {written}"
        case _:
            return f"{detail['msg'].replace('Input should be', 'must be')}, got {written}"


def _is_internal(part: int | str) -> bool:
    """Pydantic puts validator and union branch names among the field names; people never wrote them."""
    return isinstance(part, str) and any(sign in part for sign in "[]()-")


def _fields(cls: Any) -> Mapping[str, FieldInfo]:
    fields: Mapping[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    return fields


def _owner(cls: Any, path: Sequence[int | str]) -> Any:
    """The class to which a field belongs whose path begins with `path`."""
    for part in path:
        field = _fields(cls).get(str(part))
        if field is not None:
            cls = _class_in(field.annotation)
    return cls


def _class_in(annotation: Any) -> Any:
    """The class with fields inside an annotation such as `tuple[Stage, ...]` or `Scheduler | None`."""
    if _fields(annotation):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _class_in(inner)) is not None), None)
