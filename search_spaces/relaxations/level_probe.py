"""What one pass shows of a supernet that mixes the levels of a chain.

Three of the seed's ways to ask for the best depth are answered by these readings: the level with the largest weight
times its size, the level that does best alone (A. Rivero's Kronecker weights), and the level whose removal hurts most
(DARTS-PT: Wang et al., ICLR 2021, arXiv 2108.04392). Shapes: B batch, L levels from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from search_spaces.relaxations.chains import sums_without_each, weighted_sum
from search_spaces.relaxations.relaxation import Probe


def probe_levels(
    weights_L: Tensor,
    terms: Sequence[Tensor],
    read: Callable[[Tensor], Tensor],
    *,
    normalized: bool,
    states: Sequence[Tensor],
) -> Probe:
    """The readings of `read(sum_l weights_l terms_l)`.

    Args:
        weights_L: of every level from 0.
        terms: what they weigh, `[B, ...]` each.
        read: from their sum to logits `y_BK`.
        normalized: whether the weights are divided by their sum, so that those which are left must be.
        states: whose sizes make the weights comparable.
    """
    weighted = [weight * term for weight, term in zip(weights_L, terms, strict=True)]
    rests = sums_without_each(weighted)
    if normalized:
        # The only level with a weight leaves nothing behind: zero, not 0 / 0.
        totals = torch.stack(sums_without_each(weights_L.unbind())).clamp_min(torch.finfo(weights_L.dtype).tiny)
        rests = [rest / total for rest, total in zip(rests, totals, strict=True)]
    return Probe(
        logits=read(weighted_sum(weights_L, terms)),
        levels=[read(term) for term in terms],
        removals=[read(rest) for rest in rests],
        sizes=mean_squares(states),
    )


def mean_squares(states: Sequence[Tensor]) -> list[Tensor]:
    """Of each level, as `Probe.sizes`."""
    return [h_B.float().square().mean() for h_B in states]
