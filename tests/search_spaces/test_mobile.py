"""Compact blocks: what they cost by hand, what they compute, and where they are residual."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.chain import Chain
from search_spaces.compose import answer
from search_spaces.errors import InvalidInput
from search_spaces.flops import level_flops

SHAPE = (3, 8, 6)
PIXELS = 8 * 6


def build(input_shape: tuple[int, ...] = SHAPE, **options) -> Chain:
    space = make_space({"family": "mobile", **options}, input_shape=input_shape, num_classes=5)
    torch.manual_seed(0)
    return space.build(answer(space, {}, partial=True))


def num_parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(
    ("options", "products", "parameters"),
    [
        # 1x1 to six times the width, 3x3 per channel, 1x1 back; scale and shift for each output
        ({"ops": ["inverted_residual"]}, 8 * 48 + 9 * 48 + 48 * 8, 384 + 96 + 432 + 96 + 384 + 16),
        ({"ops": ["inverted_residual"], "block_width": 3}, 8 * 3 + 9 * 3 + 3 * 8, 24 + 6 + 27 + 6 + 24 + 16),
        # an expansion of one is none (Sandler et al. 2018, table 2, first line)
        ({"ops": ["inverted_residual"], "block_width": 8}, 9 * 8 + 8 * 8, 72 + 16 + 64 + 16),
        ({"ops": ["separable"]}, 9 * 8 + 8 * 8, 72 + 16 + 64 + 16),
        # squeeze to an eighth, that is one channel; four outputs by 1x1, four by 3x3
        ({"ops": ["fire"]}, 8 * 1 + 1 * 4 + 9 * 1 * 4, 8 + 2 + 4 + 8 + 36 + 8),
        ({"ops": ["fire"], "block_width": 3}, 8 * 3 + 3 * 4 + 9 * 3 * 4, 24 + 6 + 12 + 8 + 108 + 8),
    ],
)
def test_blocks_cost_what_their_convolutions_cost(options, products, parameters):
    network = build(depth=1, width=8, **options)
    assert level_flops(network, SHAPE) == (2 * PIXELS * 9 * 3 * 8, 2 * PIXELS * products, 2 * 8 * 5)
    assert num_parameters(network.blocks[0]) == parameters


def test_a_fire_module_pools_before_it_squeezes():
    network = build(stages=[{"depth": 1, "width": 6, "stride": 2}], ops=["fire"], block_width=2)
    after_pool = 4 * 3
    assert level_flops(network, SHAPE)[1] == 2 * after_pool * (6 * 2 + 2 * 3 + 9 * 2 * 3)


def test_a_depthwise_separable_block_saves_what_the_paper_says():
    """Howard et al. 2017, section 3.1: 1/N + 1/D^2 of a 3x3 convolution with N outputs."""
    separable = level_flops(build(depth=1, width=16, ops=["separable"]), SHAPE)[1]
    full = 2 * PIXELS * 9 * 16 * 16
    assert separable / full == pytest.approx(1 / 16 + 1 / 9)


def without_normalisation(block: nn.Module) -> list[torch.Tensor]:
    """The kernels of a block whose normalisations are set to change nothing."""
    for layer in block.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 0.0
    block.eval()
    return [layer.weight for layer in block.modules() if isinstance(layer, nn.Conv2d)]


def test_an_inverted_residual_by_its_formula():
    block = build(depth=1, width=4, ops=["inverted_residual"]).blocks[0]
    widen, depthwise, project = without_normalisation(block)
    h_BCHW = 9 * torch.randn(2, 4, 8, 6)  # so large that the activations reach 6
    inner = F.relu6(F.conv2d(h_BCHW, widen))
    assert (inner == 6).any()
    inner = F.relu6(F.conv2d(inner, depthwise, padding=1, groups=24))
    torch.testing.assert_close(block(h_BCHW), h_BCHW + F.conv2d(inner, project))


def test_a_separable_block_by_its_formula():
    block = build(depth=1, width=4, ops=["separable"]).blocks[0]
    depthwise, pointwise = without_normalisation(block)
    h_BCHW = torch.randn(2, 4, 8, 6)
    inner = F.relu(F.conv2d(h_BCHW, depthwise, padding=1, groups=4))
    torch.testing.assert_close(block(h_BCHW), F.relu(F.conv2d(inner, pointwise)))


def test_a_fire_module_by_its_formula():
    block = build(depth=1, width=5, ops=["fire"], block_width=3).blocks[0]
    squeeze, narrow, wide = without_normalisation(block)
    assert (narrow.shape, wide.shape) == ((2, 3, 1, 1), (3, 3, 3, 3))
    h_BCHW = torch.randn(2, 5, 8, 6)
    inner = F.relu(F.conv2d(h_BCHW, squeeze))
    halves = torch.cat([F.conv2d(inner, narrow), F.conv2d(inner, wide, padding=1)], dim=1)
    torch.testing.assert_close(block(h_BCHW), F.relu(h_BCHW + halves))


@pytest.mark.parametrize("op", ["inverted_residual", "separable", "fire"])
def test_stages_halve_the_image_rounded_up_and_change_the_width(op):
    stages = [{"depth": 2, "width": 4}, {"depth": 2, "width": 8, "stride": 2}, {"depth": 1, "width": 8, "stride": 2}]
    network = build(input_shape=(1, 7, 5), stages=stages, ops=[op])
    shapes = [tuple(state.shape[1:]) for state in network.hidden_states(torch.randn(2, 1, 7, 5))]
    assert shapes == [(4, 7, 5), (4, 7, 5), (4, 7, 5), (8, 4, 3), (8, 4, 3), (8, 2, 2)]
    if op != "separable":
        assert [block.is_residual for block in network.blocks] == [True, True, False, True, False]


def test_a_fire_module_needs_two_halves():
    with pytest.raises(InvalidInput, match=r"^width: must be at least 2 for the halves of a fire module, got 1"):
        build(depth=1, width=1, ops=["fire"])
    with pytest.raises(InvalidInput, match=r"^stages\.1\.width: must be at least 2"):
        build(stages=[{"depth": 1, "width": 2}, {"depth": 1, "width": [4, 1]}], ops=["separable", "fire"])
    build(depth=1, width=1, ops=["separable"])


def two_blocks(first, second):
    space = make_space(
        {"family": "mobile", "depth": 2, "width": 4, "ops": ["inverted_residual", "separable", "fire"]},
        input_shape=SHAPE,
        num_classes=2,
    )
    torch.manual_seed(0)
    return space, space.build(answer(space, {"block1.op": first, "block2.op": second})).eval()


@pytest.mark.parametrize("op", ["separable", "fire"])
def test_a_block_with_a_relu_is_no_identity_behind_one_that_may_be_negative(op):
    space, network = two_blocks("inverted_residual", op)
    with pytest.raises(InvalidInput, match="cannot start as an identity behind an inverted residual"):
        space.make_identity(network.blocks[1], network.blocks[0])


@pytest.mark.parametrize("ops", [("fire", "separable"), ("separable", "fire"), ("separable", "inverted_residual")])
def test_identities_behind_blocks_of_another_kind(ops):
    space, network = two_blocks(*ops)
    space.make_identity(network.blocks[1], network.blocks[0])
    _, one, two = network.hidden_states(torch.randn(3, *SHAPE))
    torch.testing.assert_close(two, one)
