import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.flops import level_flops


def build(**options):
    space = make_space({"family": "mlp", **options}, input_shape=(2, 3), num_classes=5)
    torch.manual_seed(0)
    return space.build(answer(space, {}, partial=True))


def test_a_dense_network_computes_what_its_weights_say():
    network = build(depth=1, width=4)
    x_BHW = torch.randn(7, 2, 3)
    (_, linear_0, _), (linear_1, _), linear_2 = network.parts()
    h_BD = F.relu(x_BHW.reshape(7, 6) @ linear_0.weight.T + linear_0.bias)
    h_BD = F.relu(h_BD @ linear_1.weight.T + linear_1.bias)
    torch.testing.assert_close(network(x_BHW), h_BD @ linear_2.weight.T + linear_2.bias)


def test_a_residual_block_with_a_silent_last_layer_is_the_identity():
    network = build(depth=1, width=4, ops=["residual"])
    block = network.blocks[0]
    torch.nn.init.zeros_(block.body[-1].weight)
    torch.nn.init.zeros_(block.body[-1].bias)
    h_BD = torch.randn(7, 4)
    assert torch.equal(block(h_BD), h_BD)


def test_flops_follow_the_widths():
    # two FLOPs per weight: 6x8 in, 8x16x8 in a block, 8x5 out
    inner = 2 * (8 * 16 + 16 * 8)
    assert level_flops(build(depth=2, width=8, block_width=16), (2, 3)) == (2 * 6 * 8, inner, inner, 2 * 8 * 5)
    assert level_flops(build(depth=1, width=8, block_width=16, ops=["residual"]), (2, 3))[1] == inner
    assert level_flops(build(depth=1, width=8), (2, 3))[1] == 2 * 8 * 8
    assert level_flops(build(depth=1, width=8, ops=["residual"]), (2, 3))[1] == 2 * 2 * 8 * 8
