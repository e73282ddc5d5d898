"""Heads for levels of a chain, beside or in the place of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace


def give_levels_heads(
    chain: Chain, space: ChainSpace, levels: Iterable[int], *, width: int | None = None
) -> nn.ModuleDict:
    """Fresh heads by level, of a chain with one stage, whose own head then only passes on what it is given.

    Kept as `heads`, they are where `search_spaces.inheritance` looks for them. `width` is that of the chain; None: the
    space has only one.
    """
    chain.head = nn.Identity()
    width = width or space.all_stages()[0].width[0]
    return nn.ModuleDict({str(level): space.make_head(width) for level in levels})


def read_levels(states: Sequence[Tensor], depths: Sequence[int], read: Callable[[int, Tensor], Tensor]) -> list[Tensor]:
    """Logits `y_BK` of every level by its own head; a level without one is read by the next depth's that has one.

    Args:
        states: the hidden state of every level from 0 to the last of `depths`.
        depths: the levels with a head.
        read: from such a level and a hidden state to logits.
    """
    of_levels = ((min(depth for depth in depths if depth >= level), h_B) for level, h_B in enumerate(states))
    return [read(depth, h_B) for depth, h_B in of_levels]
