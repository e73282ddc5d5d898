"""Exits: an input leaves the chain where a classifier on the way is sure enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.options import Options, Several
from search_spaces.relaxations.exit_network import ExitNetwork, ExitTraining, Teachers
from search_spaces.space import Choose
from search_spaces.values import CONFIG


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Exits:
    """Classifiers on the way, all trained together; an input leaves at the first that is sure enough."""

    spacing: Options = (1, 2, 3)
    """Blocks between one exit and the next, counted from the last, which is at the end."""
    distillation: Several[Annotated[float, Field(ge=0, le=1)]] = (0.0, 0.5)
    """Share of the teachers' answers, rather than the labels, in what an exit learns."""
    teachers: Several[Teachers] = ("last",)
    """Who teaches an exit: the last exit, or all that come after it, alike, or the mean of all, which teaches the last
    exit, too."""

    def __post_init__(self) -> None:
        if min(self.spacing) < 1:
            raise InvalidInput(f"must be at least 1, got {min(self.spacing)}", field="spacing")

    def check(self, space: ChainSpace) -> None:
        """Every level of a stage can be read."""

    def compose(self, choose: Choose, prefix: str, space: ChainSpace, chain: Architecture) -> Mapping[str, Any] | None:
        if chain.depth < 2:
            return None
        spacing = choose(f"{prefix}spacing", self.spacing)
        assert isinstance(spacing, int)
        exits = sorted(range(chain.depth, 0, -spacing))
        if len(exits) < 2:
            return None
        distillation = choose(f"{prefix}distillation", self.distillation)
        teachers = {"teachers": choose(f"{prefix}teachers", self.teachers)} if distillation else {}
        return {"exits": exits, "distillation": distillation, **teachers}

    def build(self, space: ChainSpace, chain: Architecture, form: Mapping[str, Any]) -> nn.Module:
        learning = {name: value for name, value in form.items() if name != "exits"}
        return ExitNetwork(space, chain, tuple(form["exits"]), ExitTraining(**learning))
