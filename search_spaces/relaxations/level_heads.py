"""Heads for levels of a chain, beside or in the place of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace


def give_levels_heads(chain: Chain, space: ChainSpace, levels: Iterable[int]) -> nn.ModuleDict:
    """Fresh heads by level, of a chain with one stage, whose own head then only passes on what it is given.

    Kept as `heads`, they are where `search_spaces.inheritance` looks for them.
    """
    chain.head = nn.Identity()
    width = space.all_stages()[0].width[0]
    return nn.ModuleDict({str(level): space.make_head(width) for level in levels})


def readers(depths: Sequence[int], num_levels: int) -> list[int]:
    """For every level from 0, the depth whose head reads it: its own, or the next one that has a head."""
    return [min(depth for depth in depths if depth >= level) for level in range(num_levels)]
