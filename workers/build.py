"""From a proposal to a network with fresh weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from controllers.seeds import derive_seed
from controllers.trial import Proposal
from search_spaces.chain import Chain, Repeated
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import TrialFailed
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.relaxation import Heir
from search_spaces.space import SearchSpace
from search_spaces.values import load


def build_network(proposal: Proposal, space: SearchSpace, *, seed: int) -> nn.Module:
    """The architecture or the supernet that is proposed; its weights are a function of `seed`.

    Seeds torch's current generator: fork it first where that matters.
    """
    torch.manual_seed(derive_seed(seed, "init"))
    if proposal.relaxation:
        return make_relaxation(proposal.relaxation).supernet(space)
    assert proposal.architecture is not None
    return space.build(proposal.architecture)


def start_from(network: nn.Module, proposal: Proposal, space: SearchSpace, parent: Mapping[str, Tensor]) -> None:
    """Give a fresh network the weights of its parent, or those that it inherits from another one.

    Raises:
        TrialFailed: the parent has nothing of that shape, or a level of a tied chain is to be an identity.
    """
    if not proposal.inherits:
        network.load_state_dict(parent)
        return
    if isinstance(network, Heir):
        network.inherit(parent, **proposal.inherits)
        return
    inheritance = load(Inheritance, proposal.inherits)
    network.load_state_dict(inherit(network.state_dict(), parent, inheritance))
    chain = network if isinstance(network, Chain) else network.get_submodule("chain")
    assert isinstance(chain, Chain)
    assert isinstance(space, ChainSpace)
    if inheritance.new_identities and isinstance(chain.blocks, Repeated):
        raise TrialFailed("the levels of a tied chain are one block: none can start as an identity of its own")
    for level in inheritance.new_identities:  # in order: a block may follow another new one
        space.make_identity(chain.blocks[level - 1], chain.parts()[level - 1])
