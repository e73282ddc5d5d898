"""What a network with exits costs and how often it is right, if every input leaves where a rule says.

Shapes: B batch, K classes, E exits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from search_spaces.chain import Chain
from search_spaces.dynamic.exit_rules import answers
from search_spaces.dynamic.exits import Ensembled, Exits
from search_spaces.flops import inference_flops, level_flops
from search_spaces.operating_points import OperatingPoint


def operating_point(y_EBK: Tensor, y_B: Tensor, exit_B: Tensor, flops: Sequence[int]) -> OperatingPoint:
    """The point at which inputs take these exits.

    Args:
        y_EBK: logits of all exits.
        y_B: labels.
        exit_B: the exit that every input takes, from 0.
        flops: of an input that takes each exit.
    """
    counts = torch.bincount(exit_B, minlength=len(y_EBK)).tolist()
    correct_B = answers(y_EBK, exit_B).argmax(dim=-1) == y_B
    return OperatingPoint(
        accuracy=correct_B.double().mean().item(),
        mean_flops=sum(count * cost for count, cost in zip(counts, flops, strict=True)) / len(exit_B),
        shares=tuple(count / len(exit_B) for count in counts),
    )


def exit_flops(network: Exits, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Inference FLOPs of one input that leaves at each exit: stem, blocks, and all heads on the way, its own included.

    Rules are not counted, nor is what an ensemble adds up, so that it costs what the last classifier does: no operation
    is but products and convolutions (`search_spaces.flops`).
    """
    chain, depths = network.chain, network.depths
    trunk = list(accumulate(level_flops(chain, input_shape)[:-1]))
    prefixes = (Chain(chain.stem, list(chain.blocks)[:depth], network.heads[str(depth)]) for depth in depths)
    whole = [inference_flops(prefix, input_shape) for prefix in prefixes]
    heads = accumulate(flops - trunk[depth] for flops, depth in zip(whole, depths, strict=True))
    classifiers = tuple(trunk[depth] + flops for depth, flops in zip(depths, heads, strict=True))
    return classifiers + classifiers[-1:] * isinstance(network, Ensembled)
