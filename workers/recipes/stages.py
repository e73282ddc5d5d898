"""When the stages of a training begin, and how fast they learn. A network that has no stages is one from end to end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from search_spaces.relaxations.relaxation import Staged, TrainingStage


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """The stages of one training, step by step."""

    first_steps: tuple[int, ...]
    """Of every stage, counted from 0; that of the first is 0."""
    learning_rates: tuple[float, ...]
    """Of every stage, as a multiple of the study's."""
    num_steps: int
    """Of all stages."""

    @classmethod
    def of(cls, network: nn.Module, *, num_steps: int) -> Timetable:
        """That of a network, over the steps of its whole trial."""
        stages = network.stages() if isinstance(network, Staged) else (TrainingStage(begins=0.0),)
        return cls(
            first_steps=tuple(round(stage.begins * num_steps) for stage in stages),
            learning_rates=tuple(stage.learning_rate for stage in stages),
            num_steps=num_steps,
        )

    def stage_at(self, step: int) -> int:
        """The stage that a step belongs to; after the last step it is the last step's."""
        return bisect_right(self.first_steps, min(step, self.num_steps - 1)) - 1

    def length(self, stage: int) -> int:
        """Steps of a stage."""
        return (*self.first_steps, self.num_steps)[stage + 1] - self.first_steps[stage]


def scaled(parameters: Sequence[Any], factor: float) -> list[Any]:
    """Parameters, or groups of them, for a new optimizer: copies of the groups, whose own rates are multiplied."""
    return [
        {**one, **({"lr": factor * one["lr"]} if "lr" in one else {})} if isinstance(one, dict) else one
        for one in parameters
    ]
