"""A table as a search space: its networks cannot be built, but looked up.

A search over a table asks for the same networks millions of times, so every one of them is made once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as validated
from torch import nn

from search_spaces.architecture import Architecture, Option
from search_spaces.errors import InvalidArchitecture, InvalidInput
from search_spaces.footprint import Footprint
from search_spaces.genotype import shortest_path
from search_spaces.space import Choose
from search_spaces.table import Table, read_table
from search_spaces.values import CONFIG

FAMILY = "tabular"


def _file(value: object) -> object:
    """Text is the name of a file."""
    return Path(value) if isinstance(value, str) else value


@validated(frozen=True, kw_only=True, config=CONFIG)
class Tabular:
    """The networks of a table. The decisions are those that its mapping names."""

    table: Path
    """The file with one row per network: `.npz`, `.csv` or `.parquet`."""
    mapping: Annotated[Path | Mapping[str, Any], BeforeValidator(_file)]
    """What its columns mean: a YAML file, or what would stand in it."""
    max_inference_flops: int | None = Field(default=None, ge=1)
    """Networks that take more per input are not in the space; none: no limit."""
    max_parameters: int | None = Field(default=None, ge=1)
    """Networks that have more are not in the space; none: no limit."""
    input_shape: tuple[int, ...] = ()
    num_classes: int = 0

    def __post_init__(self) -> None:
        sizes = {
            "max_inference_flops": self.content.inference_flops_N,
            "max_parameters": self.content.num_parameters_N,
        }
        for field, size_N in sizes.items():
            limit = getattr(self, field)
            if limit is not None and size_N is None:
                raise InvalidInput("needs a column that the mapping names", field=field)
            if limit is not None and size_N is not None and limit < size_N.min():
                raise InvalidInput(f"must allow the smallest network, {size_N.min()}, got {limit}", field=field)

    @cached_property
    def content(self) -> Table:
        """The table itself."""
        try:
            return read_table(self.table, self.mapping)
        except InvalidInput as error:
            raise error.within("mapping" if error.field else "table") from None

    def compose(self, choose: Choose) -> Architecture:
        code = 0
        for name, options, digits in self._questions:
            code += digits[choose(name, options)]
        return self._point(int(self.content.row_of[code]))

    def build(self, architecture: Architecture) -> nn.Module:
        raise InvalidArchitecture("a network of a table can be looked up, but not built")

    def footprint(self, architecture: Architecture) -> Footprint:
        """The sizes that the table knows, the same for equal networks."""
        return self._footprints[int(self.content.first_equal_N[self.row(architecture)])]

    def canonical_decisions(self, architecture: Architecture) -> Mapping[str, Option]:
        """The decisions that lead to the first row that is this network."""
        decisions: Mapping[str, Option] = architecture.form["decisions"]
        return decisions

    def shortest_path(self, architecture: Architecture) -> int | None:
        """Known for cells: the operations other than the identity along the shortest way from input to output."""
        if not self.content.are_genotypes:
            return None
        return shortest_path(tuple(map(str, architecture.form["decisions"].values())))

    def allows(self, architecture: Architecture) -> bool:
        """Whether a network keeps to the limits."""
        if self.max_inference_flops is None and self.max_parameters is None:
            return True
        return self.footprint(architecture).within(self.max_inference_flops, self.max_parameters)

    def row(self, architecture: Architecture) -> int:
        """The row to which these very decisions lead; that of an equal network may be another one."""
        answers = architecture.decisions
        code = sum(digits[answers.get(name, options[0])] for name, options, digits in self._questions)
        return int(self.content.row_of[code])

    def _point(self, row: int) -> Architecture:
        point = self._points[row]
        if point is None:
            table = self.content
            first = int(table.first_equal_N[row])
            form = {"family": FAMILY, "table": table.name, "decisions": table.decisions_of(first)}
            asked = {name: answer for name, answer in table.decisions_of(row).items() if len(table.decisions[name]) > 1}
            point = self._points[row] = Architecture(depth=int(table.depth_N[first]), form=form, decisions=asked)
        return point

    @cached_property
    def _points(self) -> list[Architecture | None]:
        return [None] * len(self.content)

    @cached_property
    def _footprints(self) -> list[Footprint]:
        table = self.content
        sizes = [
            None if size_N is None else size_N.tolist() for size_N in (table.inference_flops_N, table.num_parameters_N)
        ]
        flops, parameters = (size or [None] * len(table) for size in sizes)
        return [
            Footprint(inference_flops=of_flops, num_parameters=of_parameters)
            for of_flops, of_parameters in zip(flops, parameters, strict=True)
        ]

    @cached_property
    def _questions(self) -> tuple[tuple[str, tuple[Option, ...], Mapping[Option, int]], ...]:
        """Name and options of every decision, and what each answer adds to the position in `Table.row_of`."""
        decisions = self.content.decisions
        num_options = [len(options) for options in decisions.values()]
        strides = np.cumprod([1, *num_options[:0:-1]])[::-1].tolist()
        return tuple(
            (name, options, {option: stride * index for index, option in enumerate(options)})
            for (name, options), stride in zip(decisions.items(), strides, strict=True)
        )
