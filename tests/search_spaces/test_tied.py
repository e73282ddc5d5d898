"""Tied chains: one block, applied several times."""

import copy
import hashlib

import pytest
import torch

from search_spaces import make_space
from search_spaces.compose import answer, enumerate_space
from search_spaces.errors import InvalidInput, TrialFailed
from search_spaces.flops import level_flops
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import make_relaxation


def mlp(*, depth, tied=True, **options):
    return make_space(
        {"family": "mlp", "depth": depth, "width": 8, "tied": tied, **options}, input_shape=(6,), num_classes=3
    )


def build(space, **decisions):
    torch.manual_seed(0)
    return space.build(answer(space, decisions, partial=True))


def identity(space):
    return answer(space, {}).id


def copies_of(tied):
    """The untied chain whose every block has the weights of the tied one's."""
    untied = build(mlp(depth=len(tied.blocks), tied=False, ops=["residual"]))
    untied.stem.load_state_dict(tied.stem.state_dict())
    untied.head.load_state_dict(tied.head.state_dict())
    for block in untied.blocks:
        block.load_state_dict(tied.blocks[0].state_dict())
    return untied


def x_of(num_examples=5):
    return torch.randn(num_examples, 6, generator=torch.Generator().manual_seed(1))


def test_the_form_says_how_often_and_the_id_follows():
    one = answer(mlp(depth=3, ops=["residual"], block_width=4), {})
    assert one.form["stages"] == [
        {"width": 8, "stride": 1, "blocks": [{"op": "residual", "width": 4}], "repeats": 3},
    ]
    assert one.depth == 3
    assert len({identity(mlp(depth=depth, tied=tied)) for depth in (2, 3) for tied in (True, False)}) == 4


def test_untied_ids_are_those_from_before_there_were_tied_chains():
    block = '{"op":"dense","width":null}'
    text = f'{{"family":"mlp","stages":[{{"blocks":[{block},{block}],"stride":1,"width":8}}]}}'
    assert identity(mlp(depth=2, tied=False)) == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("depth", [0, 1])
def test_equal_networks_have_equal_ids(depth):
    assert identity(mlp(depth=depth)) == identity(mlp(depth=depth, tied=False))


def test_the_block_is_asked_for_once_if_there_is_one():
    space = mlp(depth=[0, 1, 3], ops=["dense", "residual"])
    assert [dict(one.decisions) for one in enumerate_space(space)] == [
        {"depth": 0},
        {"depth": 1, "block.op": "dense"},
        {"depth": 1, "block.op": "residual"},
        {"depth": 3, "block.op": "dense"},
        {"depth": 3, "block.op": "residual"},
    ]


def test_computes_what_equal_blocks_compute():
    tied = build(mlp(depth=4, ops=["residual"]))
    untied = copies_of(tied)
    assert torch.equal(tied(x_of()), untied(x_of()))
    states = tied.hidden_states(x_of())
    assert len(states) == 5
    assert all(torch.equal(h, g) for h, g in zip(states, untied.hidden_states(x_of()), strict=True))


def test_the_gradient_is_the_sum_over_applications():
    tied = build(mlp(depth=3, ops=["residual"])).double()
    untied = copies_of(tied).double()
    for network in (tied, untied):
        network(x_of().double()).square().sum().backward()
    for name, weight in tied.blocks[0].named_parameters():
        of_copies = sum(block.get_parameter(name).grad for block in untied.blocks)
        torch.testing.assert_close(weight.grad, of_copies)


def test_parameters_count_once_and_flops_at_every_application():
    network = build(mlp(depth=5))
    # stem 6 -> 8, one block 8 -> 8, head 8 -> 3, each with a bias
    assert sum(weight.numel() for weight in network.parameters()) == 7 * 8 + 9 * 8 + 9 * 3
    assert level_flops(network, (6,)) == (2 * 6 * 8, *[2 * 8 * 8] * 5, 2 * 8 * 3)


def test_the_state_holds_the_block_once():
    space = mlp(depth=3, ops=["residual"])
    network = build(space)
    blocks = {name.split(".")[1] for name in network.state_dict() if name.startswith("blocks.")}
    assert blocks == {"0"}
    other = space.build(answer(space, {}))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x_of()), network(x_of()))
    copied = copy.deepcopy(network)
    assert copied.blocks[0] is copied.blocks[2]
    assert copied.blocks[0] is not network.blocks[0]


def test_repeated_blocks_are_a_list():
    blocks = build(mlp(depth=3)).blocks
    assert len(blocks) == 3
    assert len(list(blocks)) == 3
    assert blocks[0] is blocks[-1]
    assert len(blocks[1:]) == 2
    assert blocks[:2][1] is blocks[0]
    with pytest.raises(IndexError):
        blocks[3]


@pytest.mark.parametrize("sources", [(1, 1, 1, 1), (1, 2, 3, 4), (1, 2, 3, 0)])
def test_a_deeper_tied_chain_inherits_the_one_block(sources):
    parent, heir = build(mlp(depth=3)), build(mlp(depth=4))
    torch.manual_seed(1)
    for weight in parent.parameters():
        torch.nn.init.normal_(weight)
    state = inherit(heir.state_dict(), parent.state_dict(), Inheritance(blocks=sources))
    assert state.keys() == parent.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in parent.state_dict().items())


def test_a_tied_chain_of_new_levels_keeps_its_own_block():
    parent, heir = build(mlp(depth=0)), build(mlp(depth=2))
    state = inherit(heir.state_dict(), parent.state_dict(), Inheritance(blocks=(0, 0)))
    assert torch.equal(state["blocks.0.0.weight"], heir.state_dict()["blocks.0.0.weight"])
    assert torch.equal(state["head.weight"], parent.state_dict()["head.weight"])


def test_an_untied_chain_may_unroll_a_tied_one():
    parent, heir = build(mlp(depth=3)), build(mlp(depth=3, tied=False))
    heir.load_state_dict(inherit(heir.state_dict(), parent.state_dict(), Inheritance(blocks=(1, 1, 1))))
    assert torch.equal(heir(x_of()), parent(x_of()))
    with pytest.raises(TrialFailed, match=r"blocks\.1, which its parent lacks"):
        inherit(heir.state_dict(), parent.state_dict(), Inheritance(blocks=(1, 2, 3)))


def test_darts_gives_blocks_weights_of_their_own():
    with pytest.raises(InvalidInput, match=r"space\.tied must be false"):
        make_relaxation({"name": "darts"}).check(mlp(depth=[1, 2]))
    make_relaxation({"name": "layer_select"}).check(mlp(depth=[1, 2]))
