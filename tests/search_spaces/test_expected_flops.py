"""Expected FLOPs and their price, against an enumeration of all networks."""

import itertools
import math

import pytest
import torch

from search_spaces import make_space
from search_spaces.chain_space import Block
from search_spaces.compose import answer
from search_spaces.flops import inference_flops, level_flops
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.expected_flops import ExpectedFlops

DEPTHS = [(0, 2, 3), (1, 2)]
SPACE = make_space(
    {
        "family": "resnet",
        "ops": ["basic", "plain", "separable"],
        "stages": [{"depth": [0, 2, 3], "width": 2}, {"depth": [1, 2], "width": 3, "stride": 2}],
    },
    input_shape=(1, 6, 6),
    num_classes=3,
)
NUM_LEVELS, NUM_OPS = 3 + 2, 3
COSTLIEST = answer(SPACE, {"stage1.depth": 3, "stage2.depth": 2}, partial=True)
"""Of the operations, the first costs most."""


def network(**fields):
    torch.manual_seed(0)
    net = make_relaxation({"name": "darts", **fields}).supernet(SPACE).double()
    with torch.no_grad():
        for parameter in net.architecture_parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return net


def enumerated(alpha_LO, betas):
    """`sum over networks of P(network) FLOPs(network)`: every depth of both stages, every operation of every block."""
    ops = SPACE.ops
    chains = [[Block(op=op, width=None, width_in=a, width_out=b, stride=s) for op in ops]
              for a, b, s in [(2, 2, 1)] * 3 + [(2, 3, 2), (3, 3, 1)]]  # fmt: skip
    of_block = []
    sizes = [6, 6, 6, 6, 3]
    for level, blocks in enumerate(chains):
        shape = (blocks[0].width_in, sizes[level], sizes[level])
        of_block.append([inference_flops(SPACE.make_block(block), shape) for block in blocks])
    fixed = inference_flops(SPACE.make_stem(2), (1, 6, 6)) + inference_flops(SPACE.make_head(3), (3, 3, 3))
    p_LO, p_depths = alpha_LO.softmax(1), [beta.softmax(0) for beta in betas]
    total = 0.0
    for picked in itertools.product(range(len(DEPTHS[0])), range(len(DEPTHS[1]))):
        first, second = (depths[i] for depths, i in zip(DEPTHS, picked, strict=True))
        levels = [*range(first), *range(3, 3 + second)]
        for ops_of in itertools.product(range(NUM_OPS), repeat=len(levels)):
            probability = p_depths[0][picked[0]] * p_depths[1][picked[1]]
            for level, o in zip(levels, ops_of, strict=True):
                probability = probability * p_LO[level, o]
            flops = fixed + sum(of_block[level][o] for level, o in zip(levels, ops_of, strict=True))
            total = total + probability * flops
    return total


def parameters(net):
    alpha, *betas = net.architecture_parameters()
    return alpha, betas


def test_expectation_and_gradient_are_those_of_the_enumeration():
    net = network(flops_target=0.5)
    alpha, betas = parameters(net)
    stages = net.mixed_stages()
    expected = net.flops.expected(
        DEPTHS, [stage.depth_probabilities() for stage in stages], net.mixture.level_probabilities()
    )
    truth = enumerated(alpha, betas)
    torch.testing.assert_close(expected, truth)
    everything = [alpha, *betas]
    for got, wanted in zip(
        torch.autograd.grad(expected, everything), torch.autograd.grad(truth, everything), strict=True
    ):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(("ratio", "sign"), [(1.2, 1), (1.06, 1), (1.04, 0), (0.96, 0), (0.94, -1), (0.5, -1)])
def test_pays_outside_the_window_around_the_target(ratio, sign):
    net = network()
    alpha, betas = parameters(net)
    expected = enumerated(alpha, betas)
    net = network(flops_target=expected.item() / ratio, flops_penalty=3.0)
    alpha, betas = parameters(net)
    assert net.penalty().item() == pytest.approx(3 * abs(math.log(ratio)) * abs(sign))
    everything = [alpha, *betas]
    wanted = torch.autograd.grad(3.0 * sign * enumerated(alpha, betas).log(), everything)
    for got, gradient in zip(torch.autograd.grad(net.penalty(), everything), wanted, strict=True):
        torch.testing.assert_close(got, gradient)


def test_a_part_is_that_of_the_costliest_network():
    costliest = SPACE.build(COSTLIEST)
    assert network(flops_target=0.25).flops.target == pytest.approx(inference_flops(costliest, (1, 6, 6)) / 4)


def test_cells_cost_what_their_edges_do():
    space = make_space({"family": "cell", "depth": [1, 2], "width": 4}, input_shape=(1, 5, 5), num_classes=3)
    net = make_relaxation({"name": "darts", "flops_target": 1.0}).supernet(space).double()
    with torch.no_grad():
        for parameter in net.architecture_parameters():
            parameter.copy_(torch.randn(parameter.shape))
    (stage,) = net.mixed_stages()
    conv3, conv1 = 2 * 9 * 4 * 4 * 25, 2 * 4 * 4 * 25  # no other operation multiplies
    p_EO = net.mixture.alpha.softmax(1)
    cell = (p_EO[:, 0] * conv3 + p_EO[:, 1] * conv1).sum()
    p_1, p_2 = stage.beta_D.softmax(0)
    fixed = 2 * 9 * 4 * 25 + 2 * 4 * 3
    expected = net.flops.expected([stage.depths], [stage.depth_probabilities()], net.mixture.level_probabilities())
    torch.testing.assert_close(expected, fixed + (p_1 + 2 * p_2) * cell)


def test_no_weights_are_drawn_for_it():
    def state(**fields):
        torch.manual_seed(0)
        return make_relaxation({"name": "darts", **fields}).supernet(SPACE).state_dict()

    plain, priced = state(), state(flops_target=0.5)
    assert plain.keys() == priced.keys()
    assert all(torch.equal(plain[name], priced[name]) for name in plain)


def test_a_depth_that_is_given_is_reached():
    chain = SPACE.build(COSTLIEST)
    flops = ExpectedFlops([chain], (1, 6, 6), target=1.0, strength=1.0)
    p_LO = torch.ones(NUM_LEVELS, 1)
    given = flops.expected([(3,), (2,)], [torch.ones(1), torch.ones(1)], p_LO)
    assert given.item() == pytest.approx(sum(level_flops(chain, (1, 6, 6))))
