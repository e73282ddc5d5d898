"""Ensembles of chains, by hand."""

import pytest
import torch

from search_spaces.errors import InvalidInput, TrialFailed
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.chains import architecture_of
from search_spaces.relaxations.relaxation import HasObjective, Heir, Penalized
from tests.search_spaces.scaling import scaling
from tests.search_spaces.test_elastic import SPACE, X, Y, criterion


def ensemble(space=SPACE, **options):
    network = make_relaxation({"name": "ensemble", **options}).supernet(space)
    for protocol in (Supernet, HasObjective, Penalized, Heir):
        assert isinstance(network, protocol)
    return network


def test_a_weighted_sum_of_its_members():
    network = ensemble(scaling(depth=[1, 2, 3]), depths=[1, 1, 3])  # they double: 2x, 2x and 8x
    network.weights_J.data = torch.tensor([0.5, -1.0, 0.25])
    assert network(torch.tensor([[3.0]])).item() == 3 - 6 + 6
    assert network.profile() == (0, 1.5, 0, 0.25)
    assert [one.depth for one in network.derive({})] == [1, 3]


def test_the_penalty_is_the_papers():
    network = ensemble(depths=[1, 4], complexity=0.3, sparsity=0.05)
    network.weights_J.data = torch.tensor([-2.0, 1.0])
    assert network.penalty().item() == pytest.approx((0.3 * 1 + 0.05) * 2 + (0.3 * 2 + 0.05) * 1)
    (slope,) = torch.autograd.grad(network.penalty(), network.weights_J)
    assert slope.tolist() == pytest.approx([-0.35, 0.65])


def test_inherited_members_stay_as_they_are():
    parent, heir = ensemble(depths=[1, 2]), ensemble(depths=[1, 2, 3])
    heir.inherit(parent.state_dict(), members=2)
    assert heir.weights_J.tolist() == [0.5, 0.5, 0.5]
    for old, new in zip(parent.members, heir.members, strict=False):
        torch.testing.assert_close(new(X), old(X))
    heir.train()
    assert [member.training for member in heir.members] == [False, False, True]
    heir.objective(X, Y, criterion).backward()
    moved = [any(p.grad is not None for p in member.parameters()) for member in heir.members]
    assert moved == [False, False, True]
    assert heir.weights_J.grad.abs().min() > 0


def test_only_the_beginning_of_an_ensemble_can_be_inherited():
    with pytest.raises(TrialFailed, match=r"an ensemble of depths \[1, 2\] has no place for members\.1\.blocks\.2"):
        ensemble(depths=[1, 2]).inherit(ensemble(depths=[1, 3]).state_dict(), members=2)


def test_members_have_depths_of_the_space():
    with pytest.raises(InvalidInput, match=r"depths: must be among the space's depths .*, got \[7\]"):
        ensemble(depths=[1, 7])


def test_a_plain_sum_goes_on_from_where_a_chain_is():
    """Before its first step it says what the chain says; then only what is new moves."""
    first = SPACE.build(architecture_of(SPACE, 4))
    network = ensemble(depths=[4, 1], mix="sum")
    network.inherit(first.state_dict(), members=1)
    torch.testing.assert_close(network(X), first(X))
    assert make_relaxation({"name": "ensemble", "mix": "sum"}).recipe == "standard"
    assert network.architecture_parameters() == []
    network.objective(X, Y, criterion).backward()
    assert [any(p.grad is not None for p in member.parameters()) for member in network.members] == [False, True]
    assert network.weights_J.grad is None
    assert [one.depth for one in network.derive({})] == [4, 1]  # the first carries most


def test_a_plain_sum_adds_what_its_members_say():
    parent, heir = ensemble(depths=[2, 1], mix="sum"), ensemble(depths=[2, 1, 4], mix="sum")
    assert parent.weights_J.tolist() == [1, 1]
    heir.inherit(parent.state_dict(), members=2)
    torch.testing.assert_close(heir(X), parent.members[0](X) + parent.members[1](X))
    torch.nn.init.ones_(heir.members[2].head.bias)
    torch.testing.assert_close(heir(X), parent(X) + 1)


def test_a_first_member_is_softened_and_the_new_one_counts_in_full():
    first, later = SPACE.build(architecture_of(SPACE, 4)), ensemble(depths=[4, 1, 1], mix="sum")
    network = ensemble(depths=[4, 1], mix="sum")
    network.inherit(first.state_dict(), members=1, temperature=2.0)
    torch.testing.assert_close(network(X), first(X) / 2)
    torch.nn.init.ones_(network.members[1].head.bias)
    torch.testing.assert_close(network(X), first(X) / 2 + 1)
    later.inherit(network.state_dict(), members=2)
    torch.testing.assert_close(later(X), network(X))
    assert later.weights_J.tolist() == [0.5, 1, 1]
