"""What the image families share. Shapes: B batch, C channels, H and W height and width, K classes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from search_spaces.chain_space import Stage
from search_spaces.errors import InvalidInput


def image_shape(input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of an image.

    Raises:
        InvalidInput: it is not the shape of an image.
    """
    if len(input_shape) != 3:
        raise InvalidInput(
            f"must be that of an image, [channels, height, width], got {list(input_shape)}", field="input_shape"
        )
    channels, height, width = input_shape
    return channels, height, width


def check_strides(input_shape: tuple[int, ...], stages: Sequence[Stage]) -> None:
    """Check that every stage still has pixels to skip: a 3x3 convolution maps n pixels to n / stride, rounded up.

    Raises:
        InvalidInput: a stage would shrink the image below 1x1.
    """
    _, height, width = image_shape(input_shape)
    for index, stage in enumerate(stages):
        if stage.stride > min(height, width):
            raise InvalidInput(
                f"{stage.stride} would shrink the {height}x{width} hidden state below 1x1",
                field=f"stages.{index}.stride",
            )
        height, width = -(-height // stage.stride), -(-width // stage.stride)


def conv_bn(channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution that keeps the size up to its stride, without the bias that batch normalisation would cancel."""
    conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out))


def pooled_linear(channels: int, num_classes: int) -> nn.Sequential:
    """`[B, C, H, W]` to `[B, K]`: global average pooling and a linear layer, for images of any size."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
