"""Compact networks over images: blocks that do with few weights what a 3x3 convolution does with many.

- MobileNet (Howard et al., 2017, arXiv 1704.04861): a 3x3 convolution per channel, then a 1x1 convolution.
- MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381): inverted residuals with linear bottlenecks.
- SqueezeNet (Iandola et al., 2016, arXiv 1602.07360): fire modules, with the simple bypass of its section 6.

Differences: stem and head are those of the family `resnet`, so that blocks can be compared with its blocks. A fire
module that changes the resolution pools first, as the paper does between modules; its convolutions are followed by
batch normalisation; and the bypass joins before the last ReLU, or else a module that adds nothing would never learn to.
Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.chain_space import Block, ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.image import (
    check_strides,
    conv_bn,
    image_shape,
    make_unit_convolution,
    moments_after_relu,
    normalizations,
    pooled_linear,
)
from search_spaces.values import CONFIG

EXPANSION = 6
"""Sandler et al. 2018, table 2: t, how much wider an inverted residual is inside than outside."""
SQUEEZE = 8
"""Iandola et al. 2016, section 5: a squeeze ratio of 0.125, the channels between by those of the output."""


class InvertedResidual(nn.Module):
    """`h + body(h)` where shapes allow, else `body(h)`; nothing follows the last normalisation (Sandler, figure 3d)."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        inner = block.width or EXPANSION * block.width_in
        widened = [conv_bn(block.width_in, inner, 1), nn.ReLU6()] if inner != block.width_in else []
        self.is_residual = _keeps_shape(block)
        self.body = nn.Sequential(
            *widened,
            conv_bn(inner, inner, 3, stride=block.stride, groups=inner),
            nn.ReLU6(),
            conv_bn(inner, block.width_out, 1),
        )

    def forward(self, h_BCHW: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C', H', W']`."""
        out_BCHW: Tensor = self.body(h_BCHW)
        return h_BCHW + out_BCHW if self.is_residual else out_BCHW


class Fire(nn.Module):
    """1x1 to few channels, then 1x1 and 3x3 side by side, half of the output each; on top of the input if it fits."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        inner = block.width or max(1, block.width_out // SQUEEZE)
        narrow = block.width_out // 2
        self.is_residual = _keeps_shape(block)
        self.pool = nn.MaxPool2d(3, block.stride, padding=1) if block.stride > 1 else nn.Identity()
        self.squeeze = nn.Sequential(conv_bn(block.width_in, inner, 1), nn.ReLU())
        self.expand_1x1 = conv_bn(inner, narrow, 1)
        self.expand_3x3 = conv_bn(inner, block.width_out - narrow, 3)

    def forward(self, h_BCHW: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C', H', W']`."""
        squeezed_BCHW = self.squeeze(self.pool(h_BCHW))
        out_BCHW = torch.cat([self.expand_1x1(squeezed_BCHW), self.expand_3x3(squeezed_BCHW)], dim=1)
        return F.relu(h_BCHW + out_BCHW if self.is_residual else out_BCHW)


@validated(frozen=True, kw_only=True, config=CONFIG)
class Mobile(ChainSpace):
    """Compact blocks over images `[C, H, W]`, each convolution followed by batch normalisation.

    - `inverted_residual`: MobileNetV2's. `block_width` is the channels inside; default: six times those of the input.
    - `separable`: MobileNet's depthwise 3x3 and pointwise 1x1, each with a ReLU, not residual.
    - `fire`: SqueezeNet's, with a bypass. `block_width` is the channels of the squeeze; default: an eighth of the
      output.
    """

    family = "mobile"
    operations = ("inverted_residual", "separable", "fire")
    operations_without_width = ("separable",)
    default_width = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strides(self.input_shape, self.all_stages())
        if "fire" in self.all_ops():
            for index, stage in enumerate(self.all_stages()):
                if min(stage.width) < 2:
                    field = f"stages.{index}.width" if self.stages else "width"
                    raise InvalidInput("must be at least 2 for the halves of a fire module, got 1", field=field)

    def make_stem(self, width: int) -> nn.Module:
        channels, _, _ = image_shape(self.input_shape)
        return nn.Sequential(conv_bn(channels, width, 3), nn.ReLU())

    def make_block(self, block: Block) -> nn.Module:
        match block.op:
            case "fire":
                return Fire(block)
            case "separable":
                return nn.Sequential(
                    conv_bn(block.width_in, block.width_in, 3, stride=block.stride, groups=block.width_in),
                    nn.ReLU(),
                    conv_bn(block.width_in, block.width_out, 1),
                    nn.ReLU(),
                )
            case _:
                return InvertedResidual(block)

    def make_head(self, width: int) -> nn.Module:
        return pooled_linear(width, self.num_classes)

    def make_identity(self, block: nn.Module, previous: nn.Module) -> None:
        """An inverted residual adds nothing, nor does a fire module, to an input that a ReLU has left positive.

        Both convolutions of a separable block pass on such an input, as a plain block of the family `resnet` does.

        Raises:
            InvalidInput: the input may be negative, and the block has a ReLU.
        """
        if isinstance(block, InvertedResidual):
            _silence(normalizations(block)[-1:])
            return
        if isinstance(previous, InvertedResidual):
            raise InvalidInput("a block with a ReLU at its end cannot start as an identity behind an inverted residual")
        if isinstance(block, Fire):
            _silence(normalizations(block)[-2:])
            return
        last = normalizations(previous)[-2:] if isinstance(previous, Fire) else normalizations(previous)[-1:]
        mean_C, variance_C = map(torch.cat, zip(*map(moments_after_relu, last), strict=True))
        convolutions = (layer for layer in block.modules() if isinstance(layer, nn.Conv2d))
        for convolution, normalization in zip(convolutions, normalizations(block), strict=True):
            make_unit_convolution(convolution, normalization, mean_C, variance_C)


def _keeps_shape(block: Block) -> bool:
    return block.stride == 1 and block.width_in == block.width_out


def _silence(layers: list[nn.BatchNorm2d]) -> None:
    for layer in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
