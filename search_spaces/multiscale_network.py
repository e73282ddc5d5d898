"""Multi-scale dense networks (MSDNet: Huang et al., ICLR 2018, arXiv 1703.09844), computed diagonal by diagonal.

Layer l at scale s appends to the features that the scale has so far what it makes of them and of those of the next
finer scale (section 4). An exit at layer l reads the coarsest scale alone. So it needs the next finer scale up
to layer l - 1 only, the one before up to l - 2, and so on: a diagonal of the plane of layers and scales. Taken by
diagonals ("lazy evaluation" in the paper), the network is a chain. Its block t takes the coarsest scale to layer t and
every scale as far as layer t of the coarsest needs it, finest first, and its hidden state is one map per scale. What
is computed up to an exit is then what the exit needs and nothing else, and layers that no exit needs do not exist.

The L layers are S parts of one length, and part i has the coarsest S - i + 1 scales. Between two parts, a 1x1
convolution halves the channels of every scale ("network reduction"). As in the authors' code (kalviny/MSDNet-PyTorch),
the stem is no layer, so that the paper's network of 24 layers has depth 24. Differences from that code: it computes all
scales of a layer, whether or not an exit needs them; it halves one layer later, behind the convolution that reads the
scale that ends, where the paper has it in front; it adds up the losses of the exits, here they are averaged, so that a
learning rate means the same for any number of exits; and it starts convolutions with He's initialisation.
Shapes: B batch, C channels, H and W height and width, K classes, S scales from the finest, 0, to the coarsest, S - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from search_spaces.chain import Chain
from search_spaces.dynamic.exit_settings import ExitSettings
from search_spaces.image import conv_bn, pooled_linear
from search_spaces.relaxations.relaxation import Criterion

FACTORS = (1, 2, 4, 4)
"""Of the channels at every scale, of what a layer adds there, and of a bottleneck beside what it leads to (the authors'
`grFactor` and `bnFactor`)."""

Maps = tuple[Tensor, ...]
"""Features `h_BCHW` of the scales that are still needed, finest first."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which layers there are at which scale, and how wide they are."""

    depth: int
    """L, the layers of the coarsest scale."""
    num_scales: int
    growth: int
    """Channels that a layer adds at the finest scale."""
    channels: int
    """Of the stem at the finest scale."""
    halves: bool
    """Whether channels are halved wherever a scale ends."""

    @property
    def part_depth(self) -> int:
        """Layers of each part; the last ones may have fewer."""
        return -(-self.depth // self.num_scales)

    def lag(self, scale: int) -> int:
        """How many layers less than the coarsest scale an exit needs of this one."""
        return self.num_scales - 1 - scale

    def last(self, scale: int) -> int:
        """The last layer of a scale; below 1: it has none beside the stem."""
        return min((scale + 1) * self.part_depth, self.depth - self.lag(scale))

    def has_finer(self, layer: int, scale: int) -> bool:
        """Whether a layer reads the next finer scale, which has come to the layer before."""
        return scale > 0 and layer - 1 <= max(self.last(scale - 1), 0)

    def is_halved(self, layer: int) -> bool:
        """Whether another part follows this layer."""
        return self.halves and layer % self.part_depth == 0 and layer < self.depth

    def width(self, layer: int, scale: int) -> int:
        """Channels of a scale after a layer; after 0, those of the stem."""
        width = self.channels
        for number in range(1, layer + 1):
            width += self.growth
            if self.is_halved(number):
                width //= 2
        return FACTORS[scale] * width


class Stem(nn.Module):
    """The first layer: every scale from the next finer one, by a convolution of stride 2."""

    def __init__(self, plan: Plan, image_channels: int) -> None:
        super().__init__()
        widths = [plan.width(0, scale) for scale in range(plan.num_scales)]
        self.scales = nn.ModuleList(
            conv_bn_relu(before, width, 3, stride=1 if scale == 0 else 2)
            for scale, (before, width) in enumerate(pairwise([image_channels, *widths]))
        )

    def forward(self, x_BCHW: Tensor) -> Maps:
        """An image to the maps of all scales."""
        maps = []
        for scale in self.scales:
            x_BCHW = scale(x_BCHW)
            maps.append(x_BCHW)
        return tuple(maps)


class DenseLayer(nn.Module):
    """A layer at one scale: half of what it adds is made of the next finer scale, as far as there is one."""

    def __init__(self, plan: Plan, layer: int, scale: int) -> None:
        super().__init__()
        width, added = plan.width(layer - 1, scale), plan.growth * FACTORS[scale]
        has_finer, finer = plan.has_finer(layer, scale), scale - 1
        from_each = added // 2 if has_finer else added  # even: the factors of scales that have a finer one are
        self.from_finer = (
            bottlenecked(plan.width(layer - 1, finer), from_each, factor=FACTORS[finer], stride=2)
            if has_finer
            else None
        )
        self.from_own = bottlenecked(width, from_each, factor=FACTORS[scale])
        is_halved, width_out = plan.is_halved(layer), plan.width(layer, scale)
        self.merge = conv_bn_relu(width + added, width_out, 1) if is_halved else nn.Identity()

    def forward(self, h_BCHW: Tensor, finer_BCHW: Tensor | None) -> Tensor:
        """All features of the scale, from those of the layer before at this scale and at the next finer one."""
        parts = [h_BCHW]
        if self.from_finer is not None:
            parts.append(self.from_finer(finer_BCHW))
        parts.append(self.from_own(h_BCHW))
        out_BCHW: Tensor = self.merge(torch.cat(parts, dim=1))
        return out_BCHW


class Diagonal(nn.Module):
    """Block t of the chain: layer `t - lag(s)` of every scale s that has one."""

    def __init__(self, plan: Plan, number: int) -> None:
        super().__init__()
        scales = range(plan.num_scales)
        layers = {scale: number - plan.lag(scale) for scale in scales}
        self.layers = nn.ModuleDict(
            {
                str(plan.lag(scale)): DenseLayer(plan, layer, scale)
                for scale, layer in layers.items()
                if 1 <= layer <= plan.last(scale)
            }
        )
        self.num_needed = sum(plan.last(scale) > layers[scale] for scale in scales) or 1  # the last exit reads one

    def forward(self, maps: Maps) -> Maps:
        """The features of the scales, each as many layers behind the coarsest as it is finer."""
        new = list(maps)
        for lag, layer in self.layers.items():
            place = len(maps) - 1 - int(lag)
            new[place] = layer(new[place], new[place - 1] if place else None)
        return tuple(new[-self.num_needed :])


class Head(nn.Module):
    """A classifier: two 3x3 convolutions of stride 2, pooling, a linear layer, on the coarsest scale.

    On CIFAR, pooling is over the 2x2 pixels that are left; here over all that are left, so that images may have any
    size. A map of one pixel stays as it is under a stride.
    """

    def __init__(self, channels: int, inner: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_bn_relu(channels, inner, 3, stride=2),
            conv_bn_relu(inner, inner, 3, stride=2),
            pooled_linear(inner, num_classes),
        )

    def forward(self, maps: Maps) -> Tensor:
        """Features to logits `y_BK`."""
        y_BK: Tensor = self.layers(maps[-1])
        return y_BK


class MultiscaleNetwork(ExitSettings, nn.Module):
    """A chain of diagonals with classifiers at some of them."""

    def __init__(
        self, plan: Plan, depths: tuple[int, ...], *, input_shape: tuple[int, ...], head_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.depths = depths
        diagonals = [Diagonal(plan, number) for number in range(1, plan.depth + 1)]
        self.chain = Chain(Stem(plan, input_shape[0]), diagonals, nn.Identity())
        widths = {depth: plan.width(depth, plan.num_scales - 1) for depth in depths}
        self.heads = nn.ModuleDict(
            {str(depth): Head(width, head_channels, num_classes) for depth, width in widths.items()}
        )

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the last exit."""
        y_BK: Tensor = self.heads[str(self.depths[-1])](self.chain(x_B))
        return y_BK

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The mean of the losses of all exits, which weigh alike (section 4)."""
        return torch.stack([criterion(y_BK, y_B).mean() for y_BK in self.exit_logits(x_B)]).mean()


def bottlenecked(channels_in: int, channels_out: int, *, factor: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution behind a 1x1 one to `factor` times as many channels, which never widens."""
    inner = min(channels_in, factor * channels_out)
    return nn.Sequential(conv_bn_relu(channels_in, inner, 1), conv_bn_relu(inner, channels_out, 3, stride=stride))


def conv_bn_relu(channels_in: int, channels_out: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(conv_bn(channels_in, channels_out, kernel, stride=stride), nn.ReLU())
