"""From what a study file says about a space to the space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from search_spaces.errors import InvalidInput
from search_spaces.registry import resolve
from search_spaces.values import read

Family = TypeVar("Family")


def space_from(
    options: Mapping[str, Any],
    families: Mapping[str, type[Family]],
    *,
    input_shape: tuple[int, ...],
    num_classes: int,
    num_tokens: int = 0,
) -> Family:
    """The space that the mapping `{family: NAME, **fields}` describes, for inputs of one shape.

    Inputs are numbers, or ids of `num_tokens` tokens where that is not 0: then the family must have such a field.

    Raises:
        InvalidInput: unknown family or field, a value out of its range, or a family that cannot read tokens.
    """
    fields = dict(options)
    family = fields.pop("family", None)
    if not isinstance(family, str):
        raise InvalidInput(f"is required; allowed: {', '.join(families)}", field="family")
    cls = resolve(family, families, what="space", field="family")
    task: dict[str, Any] = {"input_shape": input_shape, "num_classes": num_classes}
    if _reads_tokens(cls):
        task["num_tokens"] = num_tokens
    elif num_tokens:
        readers = ", ".join(name for name, one in families.items() if _reads_tokens(one))
        raise InvalidInput(
            f"{family} reads numbers, but the task's inputs are tokens; allowed: {readers}", field="family"
        )
    return read(cls, fields, filled_in=task)


def _reads_tokens(cls: type[Any]) -> bool:
    return "num_tokens" in getattr(cls, "__dataclass_fields__", {})
