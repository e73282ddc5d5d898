"""What mixtures of operations share: rows of architecture parameters, of which candidates can be taken out.

Shapes: R rows, which are the blocks of a chain or the edges of a cell, O candidates of each.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from search_spaces.relaxations.mixed_depth import Score
from search_spaces.relaxations.mixing import Mixing, logits


class MixedChoice(nn.Module):
    """Alpha, and a mask of what is left of the candidates."""

    def __init__(self, num_rows: int, num_candidates: int, mixing: Mixing) -> None:
        super().__init__()
        self.mixing = mixing
        self.alpha = logits(num_rows, num_candidates)
        self.is_open = isinstance(self.alpha, nn.Parameter)
        """Whether there is anything to choose."""
        self.mask_RO: Tensor | None = None
        """One for every candidate that is left; none: all are."""

    def row_weights(self) -> Tensor:
        """Weights `[R, O]` in a forward pass."""
        weights_RO = self.mixing(self.alpha, training=self.training)
        return weights_RO if self.mask_RO is None else self.mixing.without(weights_RO, self.mask_RO)

    def strongest(self) -> list[int]:
        """The candidate of every row with the largest weight among those that are left."""
        left = self.alpha if self.mask_RO is None else self.alpha.masked_fill(self.mask_RO == 0, -torch.inf)
        return left.argmax(dim=1).tolist()

    def num_removals(self) -> int:
        """Networks that `keep_by_removal` scores."""
        return self.alpha.numel() if self.is_open else 0

    def keep_by_removal(self, score: Callable[[], Score]) -> None:
        """DARTS-PT's selection (Wang et al., ICLR 2021, arXiv 2108.04392, algorithm 1), without tuning in between.

        Row by row, each candidate is taken out in turn, and the one without which the network scores worst is kept
        alone. The paper visits rows in random order; here they go from the input to the output.
        """
        if not self.is_open:
            return
        self.mask_RO = torch.ones_like(self.alpha)
        num_rows, num_candidates = self.alpha.shape
        for row in range(num_rows):
            scores = []
            for candidate in range(num_candidates):
                self.mask_RO[row, candidate] = 0
                scores.append(score())
                self.mask_RO[row, candidate] = 1
            self.mask_RO[row] = 0
            self.mask_RO[row, scores.index(min(scores))] = 1
