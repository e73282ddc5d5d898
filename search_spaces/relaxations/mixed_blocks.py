"""Blocks as mixtures: `sum_o softmax(alpha_l)_o o(h)` (DARTS, equation 2), every block with its own alpha.

The candidates are all pairs of operation and inner width. Batch normalisation inside competing candidates has no
affine part, as in the code of DARTS: it could undo a candidate's weight. Where a block has one candidate, nothing
competes and the block is the ordinary one. Shapes: B batch, L levels of the whole chain, O candidates of a block.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces.architecture import Architecture, Option
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import enumerate_space
from search_spaces.relaxations.chains import max_depths, prefixes, weighted_sum, with_depths
from search_spaces.relaxations.mixed_depth import logits


class MixedBlocks(nn.Module):
    """The architecture parameters of all blocks of a chain."""

    def __init__(self, space: ChainSpace) -> None:
        super().__init__()
        self.space = space
        self.candidates = _candidates(space)
        self.alpha = logits(sum(max_depths(space)), len(self.candidates))

    def make_blocks(self) -> list[nn.Module]:
        """One block per level, with fresh weights."""
        levels = zip(*(self.space.blocks(candidate) for candidate in self.candidates), strict=True)
        return [MixedBlock([self.space.make_block(block) for block in level]) for level in levels]

    def weights(self) -> Sequence[Tensor]:
        """Weights `[O]` of every block."""
        return self.alpha.softmax(dim=1).unbind()

    def decisions(self, depths: tuple[int, ...]) -> dict[str, Option]:
        """The strongest candidate of every block that these depths have."""
        strongest = iter(self.alpha.argmax(dim=1).tolist())
        decisions: dict[str, Option] = {}
        for prefix, max_depth, depth in zip(prefixes(self.space), max_depths(self.space), depths, strict=True):
            for level in range(1, max_depth + 1):
                candidate = self.candidates[next(strongest)]
                if level <= depth:
                    decisions |= _of_block(candidate, f"{prefix}block{level}.")
        return decisions


class MixedBlock(nn.Module):
    """The candidates of one block."""

    def __init__(self, candidates: Sequence[nn.Module]) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        if len(candidates) > 1:
            remove_affine(self)

    def forward(self, h_B: Tensor, weights_O: Tensor) -> Tensor:
        """One level to the next."""
        if len(self.candidates) == 1:
            only_B: Tensor = self.candidates[0](h_B)
            return only_B
        return weighted_sum(weights_O, (candidate(h_B) for candidate in self.candidates))


def remove_affine(network: nn.Module) -> None:
    """Take scale and shift out of every batch normalisation."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.affine = False
            module.weight = module.bias = None  # type: ignore[assignment]


def _candidates(space: ChainSpace) -> tuple[Architecture, ...]:
    """One deepest chain per candidate, which all its blocks share."""
    axes = ("*block*.op", "*block*.width")
    defaults = with_depths(space, max_depths(space))
    return tuple(enumerate_space(space, axes, tied=True, defaults=defaults))


def _of_block(candidate: Architecture, prefix: str) -> dict[str, Option]:
    return {name: option for name, option in candidate.decisions.items() if name.startswith(prefix)}
