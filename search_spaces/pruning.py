"""Weights that are cut out of a chain by their size, and what is left of it.

Cut are weights of linear layers and convolutions; biases and normalisations, which are few, stay, as in Han et al.
(NeurIPS 2015, arXiv 1506.02626) and in Frankle & Carbin (ICLR 2019, arXiv 1803.03635). A mask lies over each weight,
put there by `torch.nn.utils.parametrize`: who reads the weight reads zeros, which get no gradient, and the mask is a
part of the network's state.

Such zeros are unstructured: a dense kernel multiplies by them as by any other number, so they save neither time nor the
FLOPs that a ledger counts. `effective_flops` says what hardware that skips every one of them would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import L1Unstructured

from search_spaces.chain import Chain
from search_spaces.flops import module_flops

Scope = Literal["layer", "global"]

_WEIGHT = ".parametrizations.weight.original"
_MASK = ".parametrizations.weight.0.mask"


class Mask(nn.Module):
    """Ones where a weight is, zeros where it is cut out."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.mask = nn.Buffer(torch.ones_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as its layer reads it."""
        return weight * self.mask


def mask_layers(network: nn.Module) -> None:
    """Put a mask of ones over every weight that may be cut out."""
    for layer in list(network.modules()):
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            parametrize.register_parametrization(layer, "weight", Mask(layer.weight.detach()))


def unmasked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network with masks as one without, where zeros are weights like any others."""
    layers = [name.removesuffix(_WEIGHT) for name in state if name.endswith(_WEIGHT)]
    others = {name: tensor for name, tensor in state.items() if not name.endswith((_WEIGHT, _MASK))}
    return {**others, **{f"{layer}.weight": state[layer + _WEIGHT] * state[layer + _MASK] for layer in layers}}


def load_under_masks(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a network with masks, which stay as they are, the state of one without."""
    masks = {name: mask for name, mask in network.state_dict().items() if name.endswith(_MASK)}
    weights = {name.removesuffix(_MASK) + ".weight": name.removesuffix(_MASK) + _WEIGHT for name in masks}
    network.load_state_dict({**{weights.get(name, name): tensor for name, tensor in state.items()}, **masks})


@torch.no_grad()
def prune_smallest(chain: Chain, *, rate: float, output_rate: float, scope: Scope) -> None:
    """Cut out a share of the weights that are left, the smallest: `output_rate` of the last layer, `rate` of the rest.

    The share is one of every layer, or, with the scope `global`, of all but the last as if they were one layer.
    """
    output = _masked_layers(chain.head)[-1:]
    others = [layer for layer in _masked_layers(chain) if layer not in output]
    for group in [others] if scope == "global" else [[layer] for layer in others]:
        _prune(group, rate)
    _prune(output, output_rate)


def density(network: nn.Module) -> float:
    """Share of the weights under masks that is left."""
    masks = [_mask(layer) for layer in _masked_layers(network)]
    return sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def effective_flops(chain: Chain, input_shape: tuple[int, ...]) -> tuple[float, ...]:
    """FLOPs of one input but for those that multiply by a weight that is cut out: stem, block 1..L, head.

    A layer uses all its weights equally often, so its FLOPs shrink with its density.
    """
    levels = []
    for part, flops in zip(chain.parts(), module_flops(chain, input_shape), strict=True):
        layers = {name: layer for name, layer in part.named_modules() if parametrize.is_parametrized(layer, "weight")}
        levels.append(flops[""] - sum((1 - density(layer)) * flops.get(name, 0) for name, layer in layers.items()))
    return tuple(levels)


def _masked_layers(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if parametrize.is_parametrized(layer, "weight")]


def _weight(layer: nn.Module) -> Tensor:
    """As it is trained, under the mask."""
    return layer.get_parameter(_WEIGHT.removeprefix("."))


def _mask(layer: nn.Module) -> Tensor:
    return layer.get_buffer(_MASK.removeprefix("."))


def _prune(layers: Sequence[nn.Module], rate: float) -> None:
    """Cut out this share of what is left of one layer or more, taken together."""
    left = [_mask(layer).bool() for layer in layers]
    weights_W = torch.cat([_weight(layer)[kept] for layer, kept in zip(layers, left, strict=True)])
    kept_W = L1Unstructured(rate).compute_mask(weights_W, torch.ones_like(weights_W))  # type: ignore[no-untyped-call]
    parts = kept_W.split([int(kept.sum()) for kept in left])
    for layer, kept, part_W in zip(layers, left, parts, strict=True):
        _mask(layer)[kept] = part_W
