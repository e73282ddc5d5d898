"""What the image families share. Shapes: B batch, C channels, H and W height and width, K classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

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


def normalizations(module: nn.Module) -> list[nn.BatchNorm2d]:
    """The batch normalisations of a module, in order."""
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


@torch.no_grad()
def make_unit_convolution(
    convolution: nn.Conv2d, normalization: nn.BatchNorm2d, mean_C: Tensor, variance_C: Tensor
) -> None:
    """Let a convolution and its normalisation pass on an input of these moments `[C]`.

    A one in the middle of the kernel, and a scale and shift that undo the normalisation: exact in evaluation whatever
    the input, near in training if the moments are its own.
    """
    assert normalization.running_mean is not None
    assert normalization.running_var is not None
    nn.init.dirac_(convolution.weight, groups=convolution.groups)
    normalization.running_mean.copy_(mean_C)
    normalization.running_var.copy_(variance_C)
    normalization.weight.copy_((variance_C + normalization.eps).sqrt())
    normalization.bias.copy_(mean_C)


@torch.no_grad()
def moments_after_relu(normalization: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Mean and variance `[C]` of `max(0, x)` where x is Gaussian with the mean and deviation of the normalisation."""
    mean_C, deviation_C = normalization.bias, normalization.weight.abs().clamp_min(normalization.eps)
    ratio_C = mean_C / deviation_C
    above_C, density_C = torch.special.ndtr(ratio_C), torch.exp(-(ratio_C**2) / 2) / math.sqrt(2 * math.pi)
    rectified_C = mean_C * above_C + deviation_C * density_C
    square_C = (mean_C**2 + deviation_C**2) * above_C + mean_C * deviation_C * density_C
    return rectified_C, (square_C - rectified_C**2).clamp_min(0)
