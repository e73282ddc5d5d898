"""From a proposal to a network with fresh weights."""

from __future__ import annotations

import torch
from torch import nn

from controllers.seeds import derive_seed
from controllers.trial import Kind, Proposal
from search_spaces.relaxations import make_relaxation
from search_spaces.space import SearchSpace


def build_network(proposal: Proposal, space: SearchSpace, *, seed: int) -> nn.Module:
    """The architecture or the supernet that is proposed; its weights are a function of `seed`.

    Seeds torch's current generator: fork it first where that matters.
    """
    torch.manual_seed(derive_seed(seed, "init"))
    if proposal.kind is Kind.RELAXATION:
        return make_relaxation(proposal.relaxation).supernet(space)
    assert proposal.architecture is not None
    return space.build(proposal.architecture)
