"""Floating-point operations, counted by torch on the operations that really run.

A multiplication and an addition are two FLOPs; only matrix products, convolutions and attention count, as in
`torch.utils.flop_counter`. Torch gives its CPU attention kernel no formula and so counts it as zero; here it
costs what the CUDA kernels cost.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.chain import Chain

Network = TypeVar("Network", bound=nn.Module)


def flop_counter() -> FlopCounterMode:
    """Context that counts the FLOPs of what runs inside it; read them with `get_total_flops()`."""
    return FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION)


def count_flops(function: Callable[[], object]) -> int:
    """FLOPs of one call of `function`, which runs."""
    with flop_counter() as counter:
        function()
    return int(counter.get_total_flops())


def inference_flops(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Forward FLOPs of one input in eval mode. Nothing is computed and the network stays as it is."""
    return _forward(_on_meta(network), _one_input(input_shape))[1]


def level_flops(chain: Chain, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """`inference_flops`, part by part: stem, block 1..L, head."""
    h_B = _one_input(input_shape)
    flops = []
    for part in _on_meta(chain).parts():
        h_B, part_flops = _forward(part, h_B)
        flops.append(part_flops)
    return tuple(flops)


def _one_input(input_shape: tuple[int, ...]) -> Tensor:
    return torch.empty(1, *input_shape, device="meta")


@torch.no_grad()
def _forward(module: nn.Module, x_B: Tensor) -> tuple[Tensor, int]:
    with flop_counter() as counter:
        y_B: Tensor = module(x_B)
    return y_B, int(counter.get_total_flops())


def _on_meta(network: Network) -> Network:
    """A copy in eval mode whose tensors have shapes but no values, so that copying it costs no memory."""
    weights = {id(old): nn.Parameter(torch.empty_like(old, device="meta"), False) for old in network.parameters()}
    buffers = {id(old): torch.empty_like(old, device="meta") for old in network.buffers()}
    return copy.deepcopy(network, {**weights, **buffers}).eval()


def _attention(query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any) -> int:
    """Two matrix products: the scores, and their product with the values."""
    return 2 * _num_scores(query, key) * (query[-1] + value[-1])


def _attention_backward(
    _grad_out: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, **__: Any
) -> int:
    """Five: the scores again and the gradients of queries, keys, values and scores."""
    return 2 * _num_scores(query, key) * (3 * query[-1] + 2 * value[-1])


def _num_scores(query: torch.Size, key: torch.Size) -> int:
    return math.prod(query[:-1]) * key[-2]


_CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
