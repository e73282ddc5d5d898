"""Post-training quantisation: a trained network whose weights and inputs are integers of eight bits.

The scheme is that of Jacob et al. (CVPR 2018, arXiv 1712.05877) as recommended by Krishnamoorthi (2018, arXiv
1806.08342, section 3.1): weights are symmetric int8, with one scale per output channel; inputs of a layer are affine
uint8, with one scale and zero point from the least and the greatest value that calibration saw there. Quantised are
linear layers and convolutions of images; biases, normalisations and products of attention stay in floating point.

The integers are multiplied as the floating-point numbers that they stand for. So size and accuracy are those of an int8
kernel, but for the rounding of sums, and the time is not: torch's own quantisation is deprecated, and its successor
quantises no convolution without a compiler.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.errors import InvalidInput

Network = TypeVar("Network", bound=nn.Module)

GREATEST_WEIGHT = 127
"""Symmetric: -128 is not used (Jacob et al. 2018, section 3)."""
GREATEST_INPUT = 255


class QuantizedLayer(nn.Module):
    """A linear layer or a convolution with int8 weights that reads its inputs as uint8."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, low: Tensor, high: Tensor) -> None:
        super().__init__()
        weight = layer.weight.detach()
        by_output = (-1, *[1] * (weight.dim() - 1))
        scale_K = _or_one(weight.flatten(1).abs().amax(dim=1) / GREATEST_WEIGHT)
        self.weight = nn.Buffer((weight / scale_K.view(by_output)).round().to(torch.int8))
        self.weight_scale = nn.Buffer(scale_K.view(by_output))
        self.bias = None if layer.bias is None else nn.Buffer(layer.bias.detach())
        low, high = low.clamp(max=0), high.clamp(min=0)  # zero is one of the integers: it pads images
        self.scale = nn.Buffer(_or_one((high - low) / GREATEST_INPUT))
        self.zero_point = nn.Buffer((-low / self.scale).round())
        self.compute = (
            F.linear
            if isinstance(layer, nn.Linear)
            else partial(
                F.conv2d,
                stride=layer.stride,
                padding=layer.padding,
                dilation=layer.dilation,
                groups=layer.groups,
            )
        )

    def forward(self, x_B: Tensor) -> Tensor:
        """What the layer would say, of rounded inputs by rounded weights."""
        integers_B = ((x_B / self.scale).round() + self.zero_point).clamp(0, GREATEST_INPUT)
        rounded_B = (integers_B - self.zero_point) * self.scale
        y_B: Tensor = self.compute(rounded_B, self.weight * self.weight_scale, self.bias)
        return y_B


@torch.no_grad()
def quantized(network: Network, batches: Iterable[Tensor]) -> Network:
    """A copy, in evaluation mode, whose layers are quantised for the inputs of these batches.

    Raises:
        InvalidInput: there is no batch.
    """
    network = copy.deepcopy(network).eval()
    ranges: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    watched = [layer.register_forward_pre_hook(partial(_widen, ranges)) for layer in layers]
    num_batches = 0
    for x_B in batches:
        network(x_B)
        num_batches += 1
    for hook in watched:
        hook.remove()
    if not num_batches:
        raise InvalidInput("quantisation needs a batch to calibrate with")
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if layer in ranges:  # what no input reaches stays as it is
                assert isinstance(layer, (nn.Linear, nn.Conv2d))
                setattr(parent, name, QuantizedLayer(layer, *ranges[layer]))
    return network


def size_bytes(network: nn.Module) -> int:
    """Of all weights and statistics, as they are stored."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def _widen(ranges: dict[nn.Module, tuple[Tensor, Tensor]], layer: nn.Module, inputs: tuple[Tensor]) -> None:
    """Let the range of a layer include what it is given."""
    low, high = inputs[0].aminmax()
    if layer in ranges:
        low, high = torch.minimum(low, ranges[layer][0]), torch.maximum(high, ranges[layer][1])
    ranges[layer] = (low, high)


def _or_one(scale: Tensor) -> Tensor:
    """A scale of zero, that of zeros alone, could not divide."""
    return torch.where(scale > 0, scale, 1.0)
