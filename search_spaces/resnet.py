"""Residual networks over images (He et al., CVPR 2016).

Blocks have the paper's post-activation form. Differences: the stem is one 3x3 convolution without pooling, as the
paper uses for CIFAR; a bottleneck strides in its 3x3 convolution, as every library does since.
Shapes: B batch, C channels, H and W height and width, K classes.
"""

from __future__ import annotations

from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.chain_space import Block, ChainSpace
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

BOTTLENECK_REDUCTION = 4
"""He et al. 2016, figure 5: a bottleneck is a quarter as wide inside as outside."""


class ResidualBlock(nn.Module):
    """`relu(shortcut(h) + body(h))`, the shortcut an identity wherever shapes allow (He et al. 2016, equation 2)."""

    def __init__(self, body: nn.Module, block: Block) -> None:
        super().__init__()
        same_shape = block.stride == 1 and block.width_in == block.width_out
        self.body = body
        self.shortcut = (
            nn.Identity() if same_shape else conv_bn(block.width_in, block.width_out, 1, stride=block.stride)
        )

    def forward(self, h_BCHW: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C', H', W']`."""
        return F.relu(self.shortcut(h_BCHW) + self.body(h_BCHW))


@validated(frozen=True, kw_only=True, config=CONFIG)
class Resnet(ChainSpace):
    """Convolutional blocks over images `[C, H, W]`, each convolution followed by batch normalisation.

    - `basic`: two 3x3 convolutions, residual. `block_width` is the channels between them; default: those of the output.
    - `bottleneck`: 1x1, 3x3, 1x1, residual. `block_width` is the channels of the 3x3; default: a quarter of the output.
    - `separable`: depthwise 3x3 and pointwise 1x1, residual.
    - `plain`: one 3x3 convolution, not residual.
    """

    family = "resnet"
    operations = ("basic", "bottleneck", "separable", "plain")
    operations_without_width = ("separable", "plain")
    default_width = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strides(self.input_shape, self.all_stages())

    def make_stem(self, width: int) -> nn.Module:
        channels, _, _ = image_shape(self.input_shape)
        return nn.Sequential(conv_bn(channels, width, 3), nn.ReLU())

    def make_block(self, block: Block) -> nn.Module:
        match block.op:
            case "basic":
                return ResidualBlock(_basic(block), block)
            case "bottleneck":
                return ResidualBlock(_bottleneck(block), block)
            case "separable":
                return ResidualBlock(_separable(block), block)
            case _:
                return nn.Sequential(conv_bn(block.width_in, block.width_out, 3, stride=block.stride), nn.ReLU())

    def make_head(self, width: int) -> nn.Module:
        return pooled_linear(width, self.num_classes)

    def make_identity(self, block: nn.Module, previous: nn.Module) -> None:
        """A residual block adds nothing to its input, which a ReLU has left positive.

        A plain block convolves with a single one in the middle of its kernel, and its batch normalisation undoes itself
        with the mean and the deviation of its input. Those follow from the normalisation and the ReLU of the previous
        block, as far as a normalised channel is Gaussian: exact in evaluation, near in training.
        """
        if isinstance(block, ResidualBlock):
            last = normalizations(block.body)[-1]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            return
        (convolution,) = (layer for layer in block.modules() if isinstance(layer, nn.Conv2d))
        (normalization,) = normalizations(block)
        make_unit_convolution(convolution, normalization, *moments_after_relu(normalizations(previous)[-1]))


def _basic(block: Block) -> nn.Module:
    inner = block.width or block.width_out
    return nn.Sequential(
        conv_bn(block.width_in, inner, 3, stride=block.stride), nn.ReLU(), conv_bn(inner, block.width_out, 3)
    )


def _bottleneck(block: Block) -> nn.Module:
    inner = block.width or max(1, block.width_out // BOTTLENECK_REDUCTION)
    return nn.Sequential(
        conv_bn(block.width_in, inner, 1),
        nn.ReLU(),
        conv_bn(inner, inner, 3, stride=block.stride),
        nn.ReLU(),
        conv_bn(inner, block.width_out, 1),
    )


def _separable(block: Block) -> nn.Module:
    return nn.Sequential(
        conv_bn(block.width_in, block.width_in, 3, stride=block.stride, groups=block.width_in),
        nn.ReLU(),
        conv_bn(block.width_in, block.width_out, 1),
    )
