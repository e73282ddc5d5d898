"""Weights that pass from one chain to another: which block becomes which, and blocks that change nothing."""

import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.chain_space import Block
from search_spaces.compose import answer
from search_spaces.errors import InvalidInput, TrialFailed
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import make_relaxation

MLP = {"family": "mlp", "depth": {"min": 1, "max": 6}, "width": 4}


def space(**options):
    return make_space({**MLP, **options}, input_shape=(3,), num_classes=2)


def chain(depth, **options):
    made = space(**options)
    return made.build(answer(made, {"depth": depth}, partial=True))


def numbered(network):
    """The network with its weights replaced: every parameter of part n is filled with n."""
    with torch.no_grad():
        for number, part in enumerate(network.parts()):
            for parameter in part.parameters():
                parameter.fill_(number)
    return network


def parts(state):
    """What `numbered` wrote into every part of a chain's state; None where it wrote nothing."""
    found = {}
    for name, tensor in state.items():
        part = name.rsplit(".", 2)[0] if name.startswith("blocks") else name.split(".")[0]
        values = tensor.unique().tolist()
        found[part] = values[0] if len(values) == 1 else None
    return list(found.values())


@pytest.mark.parametrize(
    ("parent", "blocks", "expected"),
    [
        (4, (1, 2), [0, 1, 2, 5]),
        (2, (1, 2, 0), [0, 1, 2, None, 3]),
        (2, (1, 0, 2, 0), [0, 1, None, 2, None, 3]),
        (2, (1, 2, 1, 2, 1), [0, 1, 2, 1, 2, 1, 3]),
    ],
    ids=["prefix", "append", "interleave", "stack"],
)
def test_every_block_starts_as_the_one_it_copies(parent, blocks, expected):
    heir = chain(len(blocks)).state_dict()
    state = inherit(heir, numbered(chain(parent)).state_dict(), Inheritance(blocks=blocks))
    assert state.keys() == heir.keys()
    assert parts(state) == expected


def test_a_chain_inherits_the_head_of_its_own_depth_from_a_supernet():
    supernet = make_relaxation({"name": "elastic"}).supernet(space())
    state = inherit(chain(3).state_dict(), supernet.state_dict(), Inheritance(blocks=(1, 2, 3)))
    heir = chain(3)
    heir.load_state_dict(state)
    x = torch.randn(5, 3)
    torch.testing.assert_close(heir(x), supernet.probe(x).levels[3])


def test_a_smaller_supernet_inherits_heads_and_blocks():
    parent = make_relaxation({"name": "elastic"}).supernet(space())
    heir = make_relaxation({"name": "elastic", "depths": [2, 4]}).supernet(space())
    heir.load_state_dict(inherit(heir.state_dict(), parent.state_dict(), Inheritance(blocks=(1, 2, 3, 4))))
    x = torch.randn(5, 3)
    for level in (2, 4):
        torch.testing.assert_close(heir.probe(x).levels[level], parent.probe(x).levels[level])


def test_what_the_parent_lacks_is_said():
    with pytest.raises(TrialFailed, match=r"blocks\.2 cannot start from blocks\.2, which its parent lacks"):
        inherit(chain(3).state_dict(), chain(2).state_dict(), Inheritance(blocks=(1, 2, 3)))
    with pytest.raises(TrialFailed, match=r"stem cannot start from stem of its parent: 0\.weight|1\.weight"):
        inherit(chain(1).state_dict(), chain(1, width=8).state_dict(), Inheritance(blocks=(1,)))


IDENTITIES = {
    "dense": ({"family": "mlp", "width": 4}, (3,)),
    "wide dense": ({"family": "mlp", "width": 4, "block_width": 6}, (3,)),
    "residual": ({"family": "mlp", "width": 4, "ops": ["residual"]}, (3,)),
    "basic": ({"family": "resnet", "width": 4}, (1, 8, 8)),
    "bottleneck": ({"family": "resnet", "width": 4, "ops": ["bottleneck"]}, (1, 8, 8)),
    "separable": ({"family": "resnet", "width": 4, "ops": ["separable"]}, (1, 8, 8)),
    "plain": ({"family": "resnet", "width": 4, "ops": ["plain"]}, (1, 8, 8)),
    "inverted residual": ({"family": "mobile", "width": 4}, (1, 8, 8)),
    "separable, not residual": ({"family": "mobile", "width": 4, "ops": ["separable"]}, (1, 8, 8)),
    "fire": ({"family": "mobile", "width": 4, "ops": ["fire"]}, (1, 8, 8)),
    "encoder": ({"family": "transformer", "width": 4, "heads": 2}, (1, 8, 8)),
    "attention": ({"family": "transformer", "width": 4, "heads": 2, "ops": ["attention"]}, (1, 8, 8)),
    "feed_forward": ({"family": "transformer", "width": 4, "heads": 2, "ops": ["feed_forward"]}, (1, 8, 8)),
}


def trained_a_little(network, input_shape):
    """Moved away from its initialisation, so that no weight or statistic has its special first value."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(5):
        network(torch.randn(16, *input_shape)).square().sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return network


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_block_passes_on_what_it_is_given(name):
    torch.manual_seed(0)
    options, input_shape = IDENTITIES[name]
    made = make_space({**options, "depth": [1, 2, 3]}, input_shape=input_shape, num_classes=2)
    network = trained_a_little(made.build(answer(made, {"depth": 3})), input_shape)
    for level in (2, 3):  # one identity behind another
        made.make_identity(network.blocks[level - 1], network.parts()[level - 1])
    network.eval()
    x = torch.randn(7, *input_shape)
    _, one, two, three = network.hidden_states(x)
    torch.testing.assert_close(two, one)
    torch.testing.assert_close(three, one)


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_learns(name):
    torch.manual_seed(1)  # of four ReLUs, not all may be dead
    options, input_shape = IDENTITIES[name]
    made = make_space({**options, "depth": [1, 2]}, input_shape=input_shape, num_classes=2)
    network = made.build(answer(made, {"depth": 2}))
    made.make_identity(network.blocks[1], network.blocks[0])
    network(torch.randn(7, *input_shape)).square().sum().backward()
    assert any(parameter.grad.abs().max() > 0 for parameter in network.blocks[1].parameters())


def test_a_plain_convolution_is_nearly_an_identity_in_training_too():
    """The statistics of its input follow from the previous normalisation if channels are Gaussian, as these are."""
    torch.manual_seed(0)
    made = make_space(
        {"family": "resnet", "width": 6, "ops": ["plain"], "depth": [1, 2]}, input_shape=(6, 16, 16), num_classes=2
    )
    network = made.build(answer(made, {"depth": 2}))
    first, second = network.blocks
    nn.init.dirac_(first[0][0].weight)  # so that what is normalised is the Gaussian input itself
    nn.init.uniform_(first[0][1].weight, 0.5, 1.5)
    nn.init.uniform_(first[0][1].bias, -0.5, 0.5)
    made.make_identity(second, first)
    h = first(torch.randn(64, 6, 16, 16))
    torch.testing.assert_close(second(h), h, atol=0.05, rtol=0.02)


def test_blocks_that_cannot_be_identities_say_so():
    narrow = space(width=8, block_width=4)
    block = narrow.make_block(Block(op="dense", width=4, width_in=8, width_out=8, stride=1))
    with pytest.raises(InvalidInput, match=r"block_width: must be at least the width 8 .*, got 4"):
        narrow.make_identity(block, nn.Identity())
    cells = make_space({"family": "cell", "width": 4, "depth": [1, 2]}, input_shape=(1, 8, 8), num_classes=2)
    with pytest.raises(InvalidInput, match="cell blocks cannot start as identities"):
        cells.make_identity(nn.Identity(), nn.Identity())
