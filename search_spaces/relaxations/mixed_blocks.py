"""Blocks as mixtures: `sum_o w_lo o(h)` (DARTS, equation 2), every block with its own parameters.

The candidates are all pairs of operation and inner width. Batch normalisation inside competing candidates has no
affine part, as in the code of DARTS: it could undo a candidate's weight. Where a block has one candidate, nothing
competes and the block is the ordinary one. The paths without weights are candidates that are identities.
Shapes: B batch, L levels of the whole chain, O candidates of a block.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces.architecture import Architecture, Option
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import enumerate_space
from search_spaces.relaxations.chains import max_depths, prefixes, weighted_sum, with_depths
from search_spaces.relaxations.mixed_choice import MixedChoice
from search_spaces.relaxations.mixing import Mixing


class MixedBlocks(MixedChoice):
    """The architecture parameters of all blocks of a chain."""

    def __init__(self, space: ChainSpace, mixing: Mixing) -> None:
        self.space = space
        self.candidates = _candidates(space)
        self.num_levels = sum(max_depths(space))
        super().__init__(self.num_levels, len(self.candidates), mixing)

    def make_blocks(self) -> list[nn.Module]:
        """One block per level, with fresh weights."""
        levels = zip(*(self.space.blocks(candidate) for candidate in self.candidates), strict=True)
        blocks = [[self.space.make_block(block) for block in level] for level in levels]
        return [MixedBlock(block, self.mixing) if self.is_open else block[0] for block in blocks]

    def weights(self) -> Sequence[Tensor | None]:
        """Weights `[O]` of every block, none without a choice."""
        return self.row_weights().unbind() if self.is_open else [None] * self.num_levels

    def decisions(self, depths: tuple[int, ...]) -> dict[str, Option]:
        """The strongest candidate of every block that these depths have."""
        strongest = iter(self.strongest())
        decisions: dict[str, Option] = {}
        for prefix, max_depth, depth in zip(prefixes(self.space), max_depths(self.space), depths, strict=True):
            for level in range(1, max_depth + 1):
                candidate = self.candidates[next(strongest)]
                if level <= depth:
                    decisions |= _of_block(candidate, f"{prefix}block{level}.")
        return decisions

    def num_identities(self, blocks: Sequence[nn.Module], depths: tuple[int, ...]) -> int:
        """Blocks that these depths have and whose strongest candidate is an identity."""
        pairs = zip(max_depths(self.space), depths, strict=True)
        present = [level <= depth for max_depth, depth in pairs for level in range(1, max_depth + 1)]
        return sum(
            is_present and isinstance(block, MixedBlock) and isinstance(block.candidates[o], nn.Identity)
            for block, o, is_present in zip(blocks, self.strongest(), present, strict=True)
        )

    def level_probabilities(self) -> Tensor:
        """Probability `[L, O]` of every candidate of every level."""
        return self.mixing.probabilities(self.alpha)

    def uniform_chains(self) -> list[Chain]:
        """The deepest chain of every candidate."""
        return [self.space.build(candidate) for candidate in self.candidates]


class MixedBlock(nn.Module):
    """The competing candidates of one block."""

    def __init__(self, candidates: Sequence[nn.Module], mixing: Mixing) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        self.mixing = mixing
        remove_affine(self)

    def forward(self, h_B: Tensor, weights_O: Tensor) -> Tensor:
        """One level to the next."""
        mixed_B = weighted_sum(weights_O, (self._candidate(candidate, h_B) for candidate in self.candidates))
        return self.mixing.add_auxiliary(mixed_B, h_B)

    def _candidate(self, candidate: nn.Module, h_B: Tensor) -> Tensor:
        out_B: Tensor = candidate(h_B)
        is_skip = isinstance(candidate, nn.Identity)
        return self.mixing.drop_skip(out_B, training=self.training) if is_skip else out_B


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
