import pytest
import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.chain import Chain
from search_spaces.compose import answer
from search_spaces.flops import level_flops


def build(input_shape: tuple[int, ...] = (3, 8, 6), **options) -> Chain:
    space = make_space({"family": "resnet", **options}, input_shape=input_shape, num_classes=5)
    torch.manual_seed(0)
    return space.build(answer(space, {}, partial=True))


def num_parameters(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


PIXELS = 8 * 6


@pytest.mark.parametrize(
    ("options", "flops", "parameters"),
    [
        ({"ops": ["basic"]}, 2 * PIXELS * (9 * 4 * 4 + 9 * 4 * 4), 2 * (9 * 4 * 4 + 2 * 4)),
        ({"ops": ["basic"], "block_width": 7}, 2 * PIXELS * 2 * 9 * 4 * 7, 2 * 9 * 4 * 7 + 2 * 7 + 2 * 4),
        ({"ops": ["bottleneck"]}, 2 * PIXELS * (4 * 1 + 9 * 1 * 1 + 1 * 4), 4 + 2 + 9 + 2 + 4 + 8),
        ({"ops": ["bottleneck"], "block_width": 2}, 2 * PIXELS * (8 + 9 * 4 + 8), 8 + 4 + 36 + 4 + 8 + 8),
        ({"ops": ["separable"]}, 2 * PIXELS * (9 * 4 + 4 * 4), 9 * 4 + 8 + 16 + 8),
        ({"ops": ["plain"]}, 2 * PIXELS * 9 * 4 * 4, 9 * 4 * 4 + 8),
    ],
)
def test_blocks_cost_what_their_convolutions_cost(options, flops, parameters):
    network = build(depth=1, width=4, **options)
    assert level_flops(network, (3, 8, 6)) == (2 * PIXELS * 9 * 3 * 4, flops, 2 * 4 * 5)
    assert num_parameters(network.blocks[0]) == parameters


@pytest.mark.parametrize("op", ["basic", "bottleneck", "separable"])
def test_a_residual_block_with_a_silent_body_is_a_relu(op):
    block = build(depth=1, width=4, ops=[op]).blocks[0]
    torch.nn.init.zeros_(block.body[-1][-1].weight)
    h_BCHW = torch.randn(2, 4, 8, 6)
    assert torch.equal(block(h_BCHW), F.relu(h_BCHW))


def test_a_plain_block_is_not_residual():
    block = build(depth=1, width=4, ops=["plain"]).blocks[0]
    torch.nn.init.zeros_(block[0][-1].weight)
    assert torch.equal(block(torch.randn(2, 4, 8, 6)), torch.zeros(2, 4, 8, 6))


@pytest.mark.parametrize("op", ["basic", "bottleneck", "separable", "plain"])
def test_stages_halve_the_image_rounded_up_and_change_the_width(op):
    stages = [{"depth": 2, "width": 4}, {"depth": 2, "width": 8, "stride": 2}, {"depth": 1, "width": 8, "stride": 2}]
    network = build(input_shape=(1, 7, 5), stages=stages, ops=[op])
    shapes = [tuple(state.shape[1:]) for state in network.hidden_states(torch.randn(2, 1, 7, 5))]
    assert shapes == [(4, 7, 5), (4, 7, 5), (4, 7, 5), (8, 4, 3), (8, 4, 3), (8, 2, 2)]


def test_only_a_change_of_shape_needs_a_projection():
    network = build(stages=[{"depth": 2, "width": 4}, {"depth": 2, "width": 8}, {"depth": 1, "width": 8, "stride": 2}])
    # a 1x1 convolution and the scale and shift of its normalisation
    assert [num_parameters(block.shortcut) for block in network.blocks] == [0, 0, 4 * 8 + 16, 0, 8 * 8 + 16]


def test_strides_may_go_down_to_one_pixel():
    stages = [{"depth": 1, "width": 4, "stride": 3}, {"depth": 1, "width": 4, "stride": 2}]
    network = build(input_shape=(1, 5, 4), stages=stages)
    assert network.hidden_states(torch.randn(2, 1, 5, 4))[-1].shape == (2, 4, 1, 1)


def test_the_head_fits_images_of_any_size():
    network = build(depth=1, width=4).eval()
    assert network(torch.randn(2, 3, 13, 1)).shape == (2, 5)


def test_ops_without_an_inner_width_are_not_asked_for_one():
    space = make_space(
        {"family": "resnet", "depth": 1, "ops": ["plain", "basic"], "block_width": [2, 4]},
        input_shape=(1, 8, 8),
        num_classes=2,
    )
    assert answer(space, {"block1.op": "plain"}).decisions == {"block1.op": "plain"}
    assert answer(space, {"block1.op": "basic", "block1.width": 4}).form["stages"][0]["blocks"] == [
        {"op": "basic", "width": 4}
    ]
