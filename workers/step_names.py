"""What a meter calls passes and steps: those of one name, and one batch size, cost the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from torch import nn

from search_spaces.relaxations.relaxation import Drawing, Growing
from workers.recipes import Phase


def pass_name(name: str, network: nn.Module) -> Hashable:
    """The name of a pass of the network as it is now."""
    return (name, network.size()) if isinstance(network, Growing) else name


def step_namer(network: nn.Module) -> Callable[[Phase], Hashable]:
    """From a phase to the name of its next step. A network that draws its steps draws one for every name."""
    drawing = network if isinstance(network, Drawing) else None
    growing = network if isinstance(network, Growing) else None
    if drawing is None and growing is None:
        return lambda phase: phase.name

    def name(phase: Phase) -> Hashable:
        drawn = () if drawing is None else (drawing.draw(),)
        size = () if growing is None else (growing.size(),)
        return (phase.name, *drawn, *size)

    return name
