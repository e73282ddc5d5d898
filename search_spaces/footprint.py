"""What a network takes when it is used, known before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Sizes of one network; None where nobody knows."""

    inference_flops: int | None = None
    """FLOPs of the forward pass of one input."""
    num_parameters: int | None = None

    def within(self, max_inference_flops: int | None, max_parameters: int | None) -> bool:
        """Whether it keeps to limits, of which None is none."""
        return _within(self.inference_flops, max_inference_flops) and _within(self.num_parameters, max_parameters)


def footprint(space: SearchSpace, architecture: Architecture) -> Footprint:
    """The sizes of a network, where its space has a method `footprint`; else nothing is known."""
    method: Callable[[Architecture], Footprint] | None = getattr(space, "footprint", None)
    return Footprint() if method is None else method(architecture)


def _within(amount: int | None, limit: int | None) -> bool:
    return limit is None or (amount is not None and amount <= limit)
