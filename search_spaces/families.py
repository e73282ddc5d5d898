"""The registry of search spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.cell import Cell
from search_spaces.errors import InvalidInput
from search_spaces.mlp import Mlp
from search_spaces.mobile import Mobile
from search_spaces.multiscale import Multiscale
from search_spaces.registry import resolve
from search_spaces.resnet import Resnet
from search_spaces.space import SearchSpace
from search_spaces.tabular import FAMILY as TABULAR
from search_spaces.tabular import Tabular
from search_spaces.transformer import Transformer
from search_spaces.values import read

SPACES: dict[str, type[SearchSpace]] = {
    "mlp": Mlp,
    "resnet": Resnet,
    "mobile": Mobile,
    "transformer": Transformer,
    "cell": Cell,
    "multiscale": Multiscale,
    TABULAR: Tabular,
}
"""Search spaces by the name that a study file uses. Adding one is one file and one line here."""


def make_space(
    options: Mapping[str, Any], *, input_shape: tuple[int, ...], num_classes: int, num_tokens: int = 0
) -> SearchSpace:
    """The space that the mapping `{family: NAME, **fields}` describes, for inputs of one shape.

    Inputs are numbers, or ids of `num_tokens` tokens where that is not 0: then the family must have such a field.

    Raises:
        InvalidInput: unknown family or field, a value out of its range, or a family that cannot read tokens.
    """
    fields = dict(options)
    family = fields.pop("family", None)
    if not isinstance(family, str):
        raise InvalidInput(f"is required; allowed: {', '.join(SPACES)}", field="family")
    cls = resolve(family, SPACES, what="space", field="family")
    task: dict[str, Any] = {"input_shape": input_shape, "num_classes": num_classes}
    if _reads_tokens(cls):
        task["num_tokens"] = num_tokens
    elif num_tokens:
        readers = ", ".join(name for name, one in SPACES.items() if _reads_tokens(one))
        raise InvalidInput(
            f"{family} reads numbers, but the task's inputs are tokens; allowed: {readers}", field="family"
        )
    return read(cls, fields, filled_in=task)


def _reads_tokens(cls: type[SearchSpace]) -> bool:
    return "num_tokens" in getattr(cls, "__dataclass_fields__", {})
