"""Chains whose blocks are skipped per input: `h_{i+1} = g_i F_i(h_i) + (1 - g_i) h_i`, with a gate g_i for every input.

A policy is a number g per input and skippable block. It is given beforehand, as by BlockDrop's policy network (Wu et
al., CVPR 2018, arXiv 1711.08393), or decided block by block from the hidden state, as by SkipNet's gates (Wang et al.,
ECCV 2018, arXiv 1711.09485). Two ways to take a step under it:

- `masked` computes every block and multiplies. That is how both papers train, it takes gates between 0 and 1, and
  it saves nothing.
- `compacted` gathers the inputs that execute a block, runs it on those alone, and scatters what comes out.

Both give the same outputs as long as a block treats its inputs one by one. Batch normalisation in training mode does
not: its statistics are those of all inputs in one way and of those that execute the block in the other. So networks
with it are compacted in evaluation mode only.

A block can be skipped where it keeps the shape of the hidden state; the first of a strided stage does not.
Shapes: B batch, G inputs that execute a block, N skippable blocks, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn

from search_spaces.chain import Chain
from search_spaces.flops import level_shapes

Decide = Callable[[int, Tensor], Tensor]
"""From the place of a block among the skippable ones (from 0) and its inputs `h_B...` to gates `[B]`."""
Step = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""From a block, its inputs `h_B...` and gates `[B]` to the next hidden state: `masked` or `compacted`."""


def skippable(chain: Chain, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The blocks, from 1, that keep the shape of the hidden state."""
    shapes = level_shapes(chain, input_shape)
    return tuple(level for level in range(1, len(shapes)) if shapes[level] == shapes[level - 1])


def given(policy_BN: Tensor) -> Decide:
    """A policy that is known before the first block."""
    return lambda place, _: policy_BN[:, place]


def walk(
    chain: Chain, x_B: Tensor, decide: Decide, *, blocks: Collection[int], step: Step
) -> tuple[Tensor, list[Tensor]]:
    """Run a chain under a policy.

    Args:
        chain: stem, blocks and head; stem and head are never skipped.
        x_B: inputs.
        decide: the policy, asked before each of `blocks`, in order.
        blocks: which may be skipped, from 1, among the `skippable` ones.
        step: how.

    Returns:
        logits `y_BK`, and the gates `[B]` of each of `blocks`.
    """
    h_B = chain.stem(x_B)
    gates: list[Tensor] = []
    for number, block in enumerate(chain.blocks, start=1):
        if number in blocks:
            gates.append(decide(len(gates), h_B))
            h_B = step(block, h_B, gates[-1])
        else:
            h_B = block(h_B)
    y_BK: Tensor = chain.head(h_B)
    return y_BK, gates


def masked(block: nn.Module, h_B: Tensor, g_B: Tensor) -> Tensor:
    """`g F(h) + (1 - g) h`, whatever g: the reference."""
    g = g_B.reshape(-1, *[1] * (h_B.dim() - 1))
    next_B: Tensor = g * block(h_B) + (1 - g) * h_B
    return next_B


def compacted(block: nn.Module, h_B: Tensor, g_B: Tensor) -> Tensor:
    """The same for gates of 0 and 1, without computing what is skipped."""
    executing_G = g_B.nonzero().squeeze(1)
    if not len(executing_G):
        return h_B
    if len(executing_G) == len(h_B):
        out_B: Tensor = block(h_B)
        return out_B
    out_G: Tensor = block(h_B.index_select(0, executing_G))
    return h_B.index_copy(0, executing_G, out_G.to(h_B.dtype))


def executed_flops(levels: Sequence[int], blocks: Collection[int], policy_BN: Tensor) -> Tensor:
    """FLOPs `[B]` of each input's compacted pass, without those of the policy itself.

    Args:
        levels: of stem, blocks and head (`search_spaces.flops.level_flops`).
        blocks: which may be skipped, as for `walk`.
        policy_BN: 1 where an input executes one of them, else 0.
    """
    optional_N = torch.tensor([levels[number] for number in sorted(blocks)], dtype=torch.int64)
    always = sum(levels) - int(optional_N.sum())
    return always + (policy_BN.to(torch.int64) * optional_N.to(policy_BN.device)).sum(dim=1)
