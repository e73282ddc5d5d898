"""Quantisation by hand: the integers, the range of the inputs, and how far a layer can be off."""

import pytest
import torch
from torch import nn

from search_spaces.compose import enumerate_space
from search_spaces.errors import InvalidInput
from search_spaces.flops import count_flops
from search_spaces.pruning import mask_layers, prune_smallest
from search_spaces.quantization import QuantizedLayer, quantized, size_bytes
from tests.search_spaces.examples import EXAMPLES, example_space


def linear(*rows, bias):
    layer = nn.Linear(len(rows[0]), len(rows))
    layer.weight.data, layer.bias.data = torch.tensor(rows), torch.tensor(bias)
    return layer


def test_a_layer_by_hand():
    """Weights in steps of 0.01 and 0.02, inputs from -1 to 1.55 in steps of 0.01."""
    network = nn.Sequential(linear([1.27, -0.641], [2.54, 0.033], bias=[0.5, 0.0]))
    small = quantized(network, [torch.tensor([[-1.0, 0.2]]), torch.tensor([[0.0, 1.55]])])
    (layer,) = small
    assert layer.weight.dtype == torch.int8
    assert layer.weight.tolist() == [[127, -64], [127, 2]]
    assert layer.weight_scale.flatten().tolist() == pytest.approx([0.01, 0.02])
    assert (layer.scale.item(), layer.zero_point.item()) == (pytest.approx(0.01), 100)
    y = small(torch.tensor([[0.333, -0.578]]))
    expected = [1.27 * 0.33 + 0.64 * 0.58 + 0.5, 2.54 * 0.33 - 0.04 * 0.58]
    assert y.tolist() == [pytest.approx(expected, abs=1e-5)]
    beyond = small(torch.tensor([[9.0, -9.0]]))
    assert beyond[0, 0].item() == pytest.approx(1.27 * 1.55 + 0.64 * 1.0 + 0.5, abs=1e-5)


def test_zero_is_exact_where_no_input_was_negative():
    (layer,) = quantized(nn.Sequential(linear([1.0], bias=[0.0])), [torch.tensor([[3.0], [5.1]])])
    assert (layer.scale.item(), layer.zero_point.item()) == (pytest.approx(5.1 / 255), 0)
    assert layer(torch.zeros(1, 1)).item() == 0


def test_bytes_by_hand():
    network = nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2, bias=False))
    assert size_bytes(network) == 4 * (5 * 3 + 3 + 3 * 2)
    # a byte a weight; four for each bias, scale of an output, scale and zero point of the inputs
    small = quantized(network, [torch.randn(7, 5)])
    assert size_bytes(small) == (5 * 3 + 3 * 2) + 4 * (3 + (3 + 2) + 2 * 2)
    assert size_bytes(network) == 4 * (5 * 3 + 3 + 3 * 2)  # the network itself is as it was


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(6, 5), nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False)],
    ids=["linear", "convolution"],
)
def test_no_output_is_off_by_more_than_half_a_step_of_every_factor(layer):
    """`|xw - x'w'| <= |x'| |w - w'| + |w| |x - x'|`, summed by the layer itself over sizes."""
    torch.manual_seed(0)
    x = torch.randn(8, 6) if isinstance(layer, nn.Linear) else torch.randn(8, 4, 7, 5)
    (small,) = quantized(nn.Sequential(layer), [x])
    half_steps = small.weight_scale.double() / 2, small.scale.double() / 2
    weight, size = layer.weight.detach().double().abs(), x.double().abs()
    bound = small.compute(size + half_steps[1], half_steps[0].expand_as(weight), None)
    bound += small.compute(half_steps[1].expand_as(size), weight, None)
    error = (small(x) - layer(x)).abs()
    assert (error <= bound + 1e-5).all()
    assert error.max() > 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_chains_of_every_family_are_quantised_and_cost_the_same_flops(name):
    space = example_space(name)
    torch.manual_seed(0)
    *_, one = enumerate_space(space)
    network = space.build(one).eval()
    tokens = getattr(space, "num_tokens", 0)
    x = torch.randint(tokens, (16, *space.input_shape)) if tokens else torch.randn(16, *space.input_shape)
    small = quantized(network, [x[:8], x[8:]])
    kinds = [type(layer) for layer in small.modules()]
    called = []
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.register_forward_hook(lambda layer, *_: called.append(layer))
    y = network(x)
    assert kinds.count(QuantizedLayer) == len(set(called)) > 0
    torch.testing.assert_close(small(x), y, atol=0.1 * y.abs().max().item(), rtol=0)
    assert count_flops(lambda: small(x)) == count_flops(lambda: network(x))


def test_what_was_cut_out_stays_zero():
    torch.manual_seed(0)
    space = example_space("resnet")
    chain = space.build(next(iter(enumerate_space(space))))
    mask_layers(chain)
    prune_smallest(chain, rate=0.5, output_rate=0.5, scope="layer")
    small = quantized(chain, [torch.randn(4, *space.input_shape)])
    layers = [layer for layer in chain.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    after = [layer for layer in small.modules() if isinstance(layer, QuantizedLayer)]
    assert all((new.weight[old.weight == 0] == 0).all() for old, new in zip(layers, after, strict=True))


def test_calibration_needs_a_batch():
    with pytest.raises(InvalidInput, match="needs a batch to calibrate with"):
        quantized(nn.Sequential(nn.Linear(2, 2)), [])
