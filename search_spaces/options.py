"""What to choose from, as a study file writes it: whole numbers, or options of any type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator

from search_spaces.errors import InvalidInput

MAX_OPTIONS = 10_000
"""Of one decision: a slip in a range should not fill the memory."""


def options(value: object) -> tuple[int, ...]:
    """`3`, `[1, 2, 4]` or `{min: 1, max: 12, step: 1}` as a tuple of distinct whole numbers."""
    match value:
        case bool():
            numbers: Sequence[object] = ()
        case int():
            numbers = (value,)
        case {"min": int(low), "max": int(high), **rest} if set(rest) <= {"step"}:
            step = rest.get("step", 1)
            numbers = range(low, high + 1, step) if isinstance(step, int) and step > 0 else ()
            if len(numbers) > MAX_OPTIONS:
                raise InvalidInput(f"must have at most {MAX_OPTIONS} options, got {len(numbers)}")
        case [*items]:
            numbers = items
        case _:
            numbers = ()
    whole = tuple(n for n in numbers if isinstance(n, int) and not isinstance(n, bool) and n >= 0)
    if not whole or len(whole) != len(numbers) or len(set(whole)) != len(whole):
        raise InvalidInput(
            f"must be a whole number, a list of distinct ones, or {{min, max, step}} with min <= max, got {value!r}"
        )
    return whole


Options = Annotated[tuple[int, ...], BeforeValidator(options)]
"""Whole numbers to choose from. One of them is no decision."""


def _options_if_any(value: object) -> tuple[int, ...]:
    """`options`, or the default that there are none, which a copy of a space is given like any other value."""
    return () if value == () else options(value)


AnyOptions = Annotated[tuple[int, ...], BeforeValidator(_options_if_any)]
"""`Options`, or none."""

Value = TypeVar("Value")


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if not values or len(set(values)) != len(values):
        raise InvalidInput(f"must be one option, or a list of distinct ones, got {list(values)}")
    return values


Several = Annotated[tuple[Value, ...], BeforeValidator(_listed), AfterValidator(_distinct)]
"""One option of any type, or a list of distinct ones."""
