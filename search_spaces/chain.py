"""The network on which most depth work happens: stem, blocks 1..L, head.

Level 0 is the stem's output, level l the output of block l. Shapes: `x_B...` is a batch of inputs,
`h_B...` a hidden state, `y_BK` logits (B batch, K classes). Where blocks hand on several tensors, a hidden state is a
tuple of them, as in `search_spaces.multiscale_network`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

from torch import Tensor, nn


class Repeated(nn.ModuleList):
    """One block applied several times: a list of that many blocks, which holds, and saves, their weights once."""

    def __init__(self, block: nn.Module, times: int) -> None:
        super().__init__()
        self.add_module("0", block)
        self.times = times

    def __len__(self) -> int:
        return self.times

    def __iter__(self) -> Iterator[nn.Module]:
        return repeat(self.get_submodule("0"), self.times)

    def __getitem__(self, index: int | slice) -> nn.Module:  # type: ignore[override]
        chosen = range(self.times)[index]
        block = self.get_submodule("0")
        return Repeated(block, len(chosen)) if isinstance(chosen, range) else block


class Chain(nn.Module):
    """Stem, blocks in sequence, head. In a tied chain, the blocks are `Repeated`."""

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module] | Repeated, head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = blocks if isinstance(blocks, Repeated) else nn.ModuleList(blocks)
        self.head = head

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        h_B = self.stem(x_B)
        for block in self.blocks:
            h_B = block(h_B)
        y_BK: Tensor = self.head(h_B)
        return y_BK

    def hidden_states(self, x_B: Tensor) -> list[Tensor]:
        """The hidden state after every level: L + 1 tensors, level 0 (the stem) first."""
        states = [self.stem(x_B)]
        for block in self.blocks:
            states.append(block(states[-1]))
        return states

    def parts(self) -> list[nn.Module]:
        """Stem, blocks and head, in the order in which they run."""
        return [self.stem, *self.blocks, self.head]


def silence(part: nn.Module) -> None:
    """Let the last linear layer of a part give zero: a residual body adds nothing, a head says nothing."""
    last = [layer for layer in part.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
