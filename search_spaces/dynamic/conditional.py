"""A network with exits as it is meant to be run: an input that has left is computed no further.

Inputs that leave are dropped from the batch, so that later blocks run on fewer, and their answers are put back in
order. Widely used code computes all exits for all inputs and then picks, which saves nothing; that pass is here, too,
as what the other one must equal. It does in evaluation mode, where no input knows of the others in its batch.
Shapes: B batch, K classes, E exits, b inputs that have not left.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from search_spaces.dynamic.exit_rules import ExitRule, answers
from search_spaces.dynamic.exits import Ensembled, Exits, rows


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a pass over a batch says."""

    logits: Tensor
    """`y_BK` of the exit that each input took."""
    exits: Tensor
    """That exit, `[B]`, from 0."""


def run_compacted(network: Exits, x_B: Tensor, rule: ExitRule) -> Answers:
    """Compute each of at least one input up to the exit that it takes, by a network in evaluation mode."""
    assert not network.chain.training, "batch statistics are not of one input"
    blocks = list(network.chain.blocks)
    h_b, row_b = network.chain.stem(x_B), torch.arange(len(x_B), device=x_B.device)
    seen: list[Tensor] = []  # `y_bK` of every exit so far
    left, logits, exits = [], [], []
    stops = network.depths + network.depths[-1:] * isinstance(network, Ensembled)
    for number, (previous, depth) in enumerate(pairwise((0, *stops))):
        for block in blocks[previous:depth]:
            h_b = block(h_b)
        if number < len(network.depths):
            seen.append(network.heads[str(depth)](h_b))
        else:
            assert isinstance(network, Ensembled)
            seen.append(network.ensemble(seen))
        leaves_b = rule.leaves(torch.stack(seen))
        left.append(row_b[leaves_b])
        logits.append(seen[-1][leaves_b])
        exits.append(torch.full_like(left[-1], number))
        row_b = row_b[~leaves_b]
        if not len(row_b):
            break
        h_b, seen = rows(h_b, ~leaves_b), [y_bK[~leaves_b] for y_bK in seen]
    order_B = torch.cat(left).argsort()
    return Answers(logits=torch.cat(logits)[order_B], exits=torch.cat(exits)[order_B])


def run_masked(network: Exits, x_B: Tensor, rule: ExitRule) -> Answers:
    """Compute all exits of all inputs, then pick."""
    y_EBK = torch.stack(list(network.exit_logits(x_B)))
    exit_B = rule.exits(y_EBK)
    return Answers(logits=answers(y_EBK, exit_B), exits=exit_B)
