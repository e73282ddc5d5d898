"""What the columns of a table mean: the small YAML file beside it.

name: nasbench201-cifar10
decisions:                       # every combination of the answers has exactly one row
  edge0>1: {column: "ops[0]", labels: op_names}
  ...
depth: conv_depth
flops: {column: flops_m, scale: 1e6}
parameters: params
equal: genotype                  # which rows are one network
observations:                    # what so many epochs of training show, and what they cost
  - {epochs: 12, score: {column: c10_val12, scale: 0.01}, seconds: train_s12}
truth: {column: c10_test200, scale: 0.01}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as validated

from search_spaces.architecture import Option
from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG

GENOTYPE = "genotype"


def _columns(value: object) -> object:
    """A list of columns, also where there is one."""
    return (value,) if isinstance(value, str) else value


def _quantity(value: object) -> object:
    """`{column: NAME}`, also where only the name was written."""
    return {"column": value} if isinstance(value, str | list) else value


@validated(frozen=True, kw_only=True, config=CONFIG)
class Quantity:
    """A number per row."""

    column: Annotated[tuple[str, ...], BeforeValidator(_columns)] = Field(min_length=1)
    """A column, `NAME` or `NAME[index]`; of several, the mean."""
    scale: float = 1.0
    """What it is multiplied by."""
    at_least: float | None = None
    """What smaller values count as, such as -1 for "has none"; none: values as they stand."""


Number = Annotated[Quantity, BeforeValidator(_quantity)]


@validated(frozen=True, kw_only=True, config=CONFIG)
class Answers:
    """The answers to one decision."""

    column: str
    """`NAME` or `NAME[index]`."""
    labels: str | tuple[Option, ...] | None = None
    """What the whole numbers of the column stand for: a list, or the name of an array; none: the values themselves."""


@validated(frozen=True, kw_only=True, config=CONFIG)
class Observation:
    """One fidelity."""

    epochs: int = Field(ge=1)
    """Epochs of training that this is the result of."""
    score: Number
    """Validation accuracy in [0, 1], which is all that a search sees."""
    seconds: Number | None = None
    """Device time of this training."""
    flops: Number | None = None
    """Compute of this training."""


@validated(frozen=True, kw_only=True, config=CONFIG)
class TableMapping:
    """What the columns of a table mean."""

    name: str = Field(min_length=1)
    """Networks of tables with different names are different."""
    decisions: Mapping[str, Annotated[Answers, BeforeValidator(_quantity)]] = Field(min_length=1)
    """By the name of the decision, in the order of asking."""
    observations: tuple[Observation, ...] = Field(min_length=1)
    """One or more fidelities."""
    truth: Number
    """Test accuracy in [0, 1] of the fully trained network: read once per run, at its end."""
    depth: Number | None = None
    """Number of levels; none: one for every decision."""
    flops: Number | None = None
    """FLOPs of the forward pass of one input."""
    parameters: Number | None = None
    """Number of parameters."""
    equal: str | None = None
    """Column whose value is the same for rows that are one network, or `genotype`; none: no two rows are.

    With `genotype` the decisions are the edges of a NAS-Bench-201 cell, in its order, and equal as
    `search_spaces.genotype` says.
    """

    def __post_init__(self) -> None:
        epochs = [observation.epochs for observation in self.observations]
        if len(set(epochs)) != len(epochs):
            raise InvalidInput(f"must have different epochs, got {epochs}", field="observations")
