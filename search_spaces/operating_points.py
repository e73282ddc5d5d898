"""What a network that chooses its depth per input costs and how often it is right, at each of its settings.

Workers measure these points, the store keeps them, whoever reads results asks for them by name: no torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Model = Literal["own", "delivered"]
"""With the weights that the trial has trained, or, in a final trial, with those that the run delivers."""
Part = Literal["validation", "test"]
"""Of the data. Settings are chosen on validation data."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to run a network."""

    label: str
    thresholds: tuple[float | None, ...]
    """In the units of the network's rule, one for everything that has a threshold of its own; None: one that no input
    reaches."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A dynamic network at one setting."""

    accuracy: float
    """In [0, 1]."""
    mean_flops: float
    """Of inference, per input: exits, gates and whatever else decides are counted."""
    shares: tuple[float, ...]
    """Of the inputs, by the exit that they take, or by the blocks that they execute."""


@dataclass(frozen=True, kw_only=True)
class MeasuredPoint:
    """An operating point of a trial."""

    model: Model
    split: Part
    setting: Setting
    point: OperatingPoint
    latency_ms_batch1: float | None = None
    """Milliseconds per input, one by one, on the worker's device; None where nobody measured it."""
    latency_ms_batch256: float | None = None
    """The same in batches of 256, or of all inputs if there are fewer."""
