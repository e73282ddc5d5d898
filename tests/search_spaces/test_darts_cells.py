"""DARTS over stacked cells: the mixture of edges by hand, and the plain cells as its one-hot limit."""

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.compose import answer, sample, validate
from search_spaces.genotype import EDGES, from_text
from search_spaces.relaxations import make_relaxation
from tests.search_spaces.examples import example_space

CERTAIN = 1000.0


def cells(ops, **fields):
    options = {"family": "cell", "ops": ops, "width": 2, "depth": [1, 2], **fields}
    return make_space(options, input_shape=(1, 5, 5), num_classes=3)


def darts(space):
    torch.manual_seed(0)
    return make_relaxation({"name": "darts"}).supernet(space)


def canonical_sample(space, rng):
    """A point whose genotype is written as the space builds it, so that edges correspond one to one."""
    while True:
        wanted = sample(space, rng)
        genotype = tuple(wanted.decisions[f"edge{source}>{target}"] for source, target in EDGES)
        forms = [block["op"] for stage in wanted.form["stages"] for block in stage["blocks"]]
        if from_text(forms[0]) == genotype:
            return wanted, genotype


def test_mixes_the_operations_of_every_edge():
    network = darts(cells(["skip_connect", "none"]))
    with torch.no_grad():
        network.mixture.alpha.zero_()  # every edge passes half of its source on
    x = torch.ones(1, 2, 5, 5)
    mixed = network.stages[0].blocks[0](x, network.mixture.weights()[0])
    # Nodes: 1/2, then 1/2 + 1/4 = 3/4, then 1/2 + 1/4 + 3/8 = 9/8.
    assert torch.allclose(mixed, 9 / 8 * x)


@pytest.mark.parametrize("seed", range(4))
def test_one_hot_parameters_give_the_plain_cells(seed):
    ops = ["nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none"]
    space = cells(ops, width=None, depth=None, stages=[{"depth": [1, 2], "width": 2}, {"depth": [1, 2], "width": 4}])
    network = darts(space)
    wanted, genotype = canonical_sample(space, np.random.default_rng(seed))
    plain = space.build(wanted)
    plain.stem.load_state_dict(network.chain.stem.state_dict())
    plain.head.load_state_dict(network.chain.head.state_dict())
    chosen = [ops.index(op) for op in genotype]
    with torch.no_grad():
        network.mixture.alpha[range(len(EDGES)), chosen] = CERTAIN
        blocks = iter(plain.blocks)
        for stage, form in zip(network.stages, wanted.form["stages"], strict=True):
            stage.beta_D[stage.depths.index(len(form["blocks"]))] = CERTAIN
            for mixed, _ in zip(stage.blocks, form["blocks"], strict=False):
                block = next(blocks)
                if isinstance(block, nn.Sequential):
                    reduction, block = block
                    reduction.load_state_dict(mixed.reduction.state_dict())
                for name, edge in block.edges.items():
                    candidate = mixed.uniform[chosen[[f"{s}>{t}" for s, t in EDGES].index(name)]].edges[name]
                    edge.load_state_dict(candidate.state_dict(), strict=False)  # a fresh affine part stays
    x = torch.randn(4, 1, 5, 5)
    for mode in (True, False):
        assert torch.equal(network.train(mode)(x), plain.train(mode)(x))
    assert network.derive({})[0] == wanted


def test_all_cells_share_one_alpha_and_every_parameter_gets_a_gradient():
    space = example_space("cell")
    network = darts(space)
    alpha, beta = network.architecture_parameters()
    assert (tuple(alpha.shape), tuple(beta.shape)) == ((6, 3), (3,))
    loss = nn.functional.cross_entropy(network(torch.randn(8, *space.input_shape)), torch.arange(8) % 3)
    assert all((gradient != 0).all() for gradient in torch.autograd.grad(loss, [alpha, beta]))


def test_derives_the_strongest_operations():
    ops = ["nor_conv_1x1", "skip_connect", "none"]
    space = cells(ops, depth=[0, 1, 2])
    network = darts(space)
    strongest = [0, 1, 2, 0, 1, 0]
    with torch.no_grad():
        network.mixture.alpha[range(6), strongest] = 1.0
        network.stages[0].beta_D.copy_(torch.tensor([0.3, 0.1, 0.6]).log())
    edges = {f"edge{source}>{target}": ops[o] for (source, target), o in zip(EDGES, strongest, strict=True)}
    derived = network.derive({})
    assert derived == (
        answer(space, {"depth": 2} | edges),
        answer(space, {"depth": 0}),
        answer(space, {"depth": 1} | edges),
    )
    for architecture in derived:
        validate(space, architecture)


def test_one_operation_leaves_the_depth_to_learn():
    network = darts(cells(["nor_conv_3x3"]))
    assert [tuple(parameter.shape) for parameter in network.architecture_parameters()] == [(2,)]
    assert sorted(one.depth for one in network.derive({})) == [1, 2]
