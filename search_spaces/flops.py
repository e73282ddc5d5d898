"""Floating-point operations, counted by torch on the operations that really run.

A multiplication and an addition are two FLOPs; only matrix products and convolutions count, as in
`torch.utils.flop_counter`. Networks write attention as matrix products: what torch counts for its fused kernels
depends on the device (`search_spaces.transformer.SelfAttention`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.chain import Chain

Network = TypeVar("Network", bound=nn.Module)


def flop_counter() -> FlopCounterMode:
    """Context that counts the FLOPs of what runs inside it; read them with `get_total_flops()`."""
    return FlopCounterMode(display=False)


def count_flops(function: Callable[[], object]) -> int:
    """FLOPs of one call of `function`, which runs."""
    with flop_counter() as counter:
        function()
    return int(counter.get_total_flops())


def inference_flops(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Forward FLOPs of one input in eval mode. Nothing is computed and the network stays as it is."""
    return _forward(_on_meta(network), _one_input(input_shape))[1].get_total_flops()


def level_flops(chain: Chain, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """`inference_flops`, part by part: stem, block 1..L, head."""
    return tuple(counter.get_total_flops() for _, counter in _part_by_part(chain, input_shape))


def module_flops(chain: Chain, input_shape: tuple[int, ...]) -> tuple[dict[str, int], ...]:
    """`level_flops`, each by the modules within that part, under their names there; the empty name is all of it."""
    counters = (counter for _, counter in _part_by_part(chain, input_shape))
    return tuple(_by_module(part, counter) for part, counter in zip(chain.parts(), counters, strict=True))


def _by_module(part: nn.Module, counter: FlopCounterMode) -> dict[str, int]:
    """The counter calls a module by the class of the whole and its name within."""
    prefix = f"{type(part).__name__}."
    within = {
        name.removeprefix(prefix): sum(counts.values())
        for name, counts in counter.get_flop_counts().items()
        if name.startswith(prefix)
    }
    return {**within, "": counter.get_total_flops()}


def level_shapes(chain: Chain, input_shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Shapes of the hidden states of one input, level 0..L, without the batch dimension. Nothing is computed."""
    return tuple(tuple(h_B.shape[1:]) for h_B, _ in _part_by_part(chain, input_shape)[:-1])


def _part_by_part(chain: Chain, input_shape: tuple[int, ...]) -> list[tuple[Tensor, FlopCounterMode]]:
    """What stem, blocks and head give for one input, and who counted their FLOPs."""
    h_B = _one_input(input_shape)
    parts = []
    for part in _on_meta(chain).parts():
        h_B, counter = _forward(part, h_B)
        parts.append((h_B, counter))
    return parts


def _one_input(input_shape: tuple[int, ...]) -> Tensor:
    return torch.empty(1, *input_shape, device="meta")


@torch.no_grad()
def _forward(module: nn.Module, x_B: Tensor) -> tuple[Tensor, FlopCounterMode]:
    with flop_counter() as counter:
        y_B: Tensor = module(x_B)
    return y_B, counter


def _on_meta(network: Network) -> Network:
    """A copy in eval mode whose tensors have shapes but no values, so that copying it costs no memory."""
    weights = {id(old): nn.Parameter(torch.empty_like(old, device="meta"), False) for old in network.parameters()}
    buffers = {id(old): torch.empty_like(old, device="meta") for old in network.buffers()}
    return copy.deepcopy(network, {**weights, **buffers}).eval()
