"""Multi-scale dense networks as a search space (MSDNet: Huang et al., ICLR 2018, arXiv 1703.09844).

An architecture is a network with several exits, all of which are trained, and whose validation score is that of the
last. `search_spaces.dynamic` runs it and says what each exit costs.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInput
from search_spaces.image import image_shape
from search_spaces.multiscale_network import FACTORS, MultiscaleNetwork, Plan
from search_spaces.options import Options
from search_spaces.space import Choose
from search_spaces.values import CONFIG

FAMILY = "multiscale"


@validated(frozen=True, kw_only=True, config=CONFIG)
class Multiscale:
    """Dense layers at several scales of an image `[C, H, W]`, with classifiers on the way; defaults for CIFAR.

    The decisions are `depth`, `scales`, `growth`, `base` and `step`. Exits are at layers base, base + step, and so on,
    and at the last. A base or a step that leads beyond the last layer is not offered.
    """

    input_shape: tuple[int, ...]
    num_classes: int = Field(ge=1)
    depth: Options
    """Numbers of layers to choose from."""
    scales: Options = (3,)
    """Numbers of scales to choose from; each has half the height and width of the one before."""
    growth: Options = (6,)
    """Channels that a layer adds at the finest scale to choose from; at coarser ones, 2, 4 and 4 times as many."""
    base: Options = (4,)
    """Layers in front of the first exit to choose from."""
    step: Options = (2,)
    """Layers from one exit to the next to choose from."""
    channels: int = Field(default=16, ge=1)
    """Of the first layer at the finest scale; at coarser ones, 2, 4 and 4 times as many."""
    head_channels: int = Field(default=128, ge=1)
    """Of the two convolutions of every classifier."""
    halving: bool = True
    """Whether a 1x1 convolution halves the channels wherever the finest scale ends."""

    def __post_init__(self) -> None:
        _, height, width = image_shape(self.input_shape)
        if min(self.input_shape) < 1:
            raise InvalidInput(f"must have sides of at least 1, got {list(self.input_shape)}", field="input_shape")
        for field in ("depth", "scales", "growth", "base", "step"):
            if 0 in getattr(self, field):
                raise InvalidInput("must be at least 1, got 0", field=field)
        most = max(self.scales)
        if most > len(FACTORS):
            raise InvalidInput(f"must be at most {len(FACTORS)}, got {most}", field="scales")
        if most > 1 and min(height, width) <= 2 ** (most - 2):
            raise InvalidInput(f"{most} would shrink the {height}x{width} image below 1x1", field="scales")

    def compose(self, choose: Choose) -> Architecture:
        depth = _number(choose, "depth", self.depth)
        scales = _number(choose, "scales", self.scales)
        growth = _number(choose, "growth", self.growth)
        exits = [depth]
        if bases := [base for base in self.base if base <= depth]:
            base = _number(choose, "base", bases)
            steps = [step for step in self.step if base + step <= depth]
            exits = [*range(base, depth, _number(choose, "step", steps) if steps else depth), depth]
        form = {"family": FAMILY, "depth": depth, "scales": scales, "growth": growth, "exits": exits}
        return Architecture(depth=depth, form=form)

    def build(self, architecture: Architecture) -> nn.Module:
        form = architecture.form
        plan = Plan(
            depth=form["depth"],
            num_scales=form["scales"],
            growth=form["growth"],
            channels=self.channels,
            halves=self.halving,
        )
        return MultiscaleNetwork(
            plan,
            tuple(form["exits"]),
            input_shape=self.input_shape,
            head_channels=self.head_channels,
            num_classes=self.num_classes,
        )


def _number(choose: Choose, name: str, options: Sequence[int]) -> int:
    answer = choose(name, options)
    assert isinstance(answer, int)
    return answer
