"""The registry of search spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.cell import Cell
from search_spaces.errors import InvalidInput
from search_spaces.mlp import Mlp
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
    "transformer": Transformer,
    "cell": Cell,
    TABULAR: Tabular,
}
"""Search spaces by the name that a study file uses. Adding one is one file and one line here."""


def make_space(options: Mapping[str, Any], *, input_shape: tuple[int, ...], num_classes: int) -> SearchSpace:
    """The space that the mapping `{family: NAME, **fields}` describes, for inputs of one shape.

    Raises:
        InvalidInput: unknown family or field, or a value out of its range.
    """
    fields = dict(options)
    family = fields.pop("family", None)
    if not isinstance(family, str):
        raise InvalidInput(f"is required; allowed: {', '.join(SPACES)}", field="family")
    task: dict[str, Any] = {"input_shape": input_shape, "num_classes": num_classes}
    return read(resolve(family, SPACES, what="space", field="family"), fields, filled_in=task)
