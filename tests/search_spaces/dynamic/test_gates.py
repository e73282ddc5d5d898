"""SkipNet's gates: their formulas by hand, and what they cost."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.chain_space import Block
from search_spaces.compose import answer
from search_spaces.dynamic.gates import FeedForwardGates, RecurrentGates, ff_gate_1, ff_gate_2, pooled
from search_spaces.dynamic.skipping import compacted, masked, walk
from search_spaces.flops import inference_flops
from search_spaces.resnet import Resnet

CIFAR = [(16, 32), (32, 16), (64, 8)]
"""Channels and side of the hidden states of the paper's networks for CIFAR (He et al. 2016, section 4.2)."""


def block_flops(channels, side):
    space = Resnet(input_shape=(3, 32, 32), num_classes=10, depth=1, width=channels)
    block = space.make_block(Block(op="basic", width=None, width_in=channels, width_out=channels, stride=1))
    counted = inference_flops(block, (channels, side, side))
    assert counted == 2 * (2 * 9 * channels**2 * side**2)
    return counted


@pytest.mark.parametrize(("channels", "side"), CIFAR)
def test_ff_gate_1_costs_five_parts_in_32_of_a_block(channels, side):
    """The paper says roughly 19 %, which is what the pooled convolutions cost if a stride of two halves them: 3/16."""
    counted = inference_flops(ff_gate_1(channels), (channels, side, side))
    assert counted == 2 * 9 * channels**2 * ((side // 2) ** 2 + (side // 4) ** 2) + 2 * channels * 2
    assert counted / block_flops(channels, side) == pytest.approx(5 / 32, abs=1e-4)


@pytest.mark.parametrize(("channels", "side"), CIFAR)
def test_ff_gate_2_costs_an_eighth_of_a_block(channels, side):
    counted = inference_flops(ff_gate_2(channels), (channels, side, side))
    assert counted / block_flops(channels, side) == pytest.approx(0.125, abs=1e-4)


class FirstGate(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gates = RecurrentGates(width, 1)

    def forward(self, h_B):
        return self.gates(0, h_B, None)[0]


@pytest.mark.parametrize(("channels", "side"), CIFAR)
def test_the_recurrent_gate_costs_nothing_to_speak_of(channels, side):
    counted = inference_flops(FirstGate(channels), (channels, side, side))
    assert counted == 2 * (channels * 10 + 4 * 10 * (10 + 10) + 10)  # the four gates of an LSTM see 10 + 10 numbers
    assert 0.0002 < counted / block_flops(channels, side) <= 0.0004  # the paper: 0.04 %


def batch(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("make", [ff_gate_1, ff_gate_2])
def test_a_feed_forward_gate_says_the_log_odds_of_its_softmax(make):
    torch.manual_seed(0)
    gates = FeedForwardGates([make(3), make(3)]).double().eval()
    h_BCHW = batch(4, 3, 8, 6)
    score_B, memory = gates(1, h_BCHW, None)
    assert memory is None
    torch.testing.assert_close(score_B.sigmoid(), gates.gates[1](h_BCHW).softmax(dim=1)[:, 1])
    assert (score_B != gates(0, h_BCHW, None)[0]).all()


def test_ff_gate_1_step_by_step():
    torch.manual_seed(0)
    gate, h_BCHW = ff_gate_1(3).double().eval(), batch(4, 3, 8, 6)
    first, second = (layer for layer in gate.modules() if isinstance(layer, nn.Conv2d))
    (linear,) = (layer for layer in gate.modules() if isinstance(layer, nn.Linear))
    scale = (1 + 1e-5) ** -0.5  # batch normalisation before any training
    h = F.max_pool2d(h_BCHW, 2)
    h = F.relu(scale * F.conv2d(h, first.weight, padding=1))
    h = F.relu(scale * F.conv2d(h, second.weight, padding=1, stride=2))
    assert h.shape == (4, 3, 2, 2)
    torch.testing.assert_close(gate(h_BCHW), F.linear(scale * h.mean(dim=(2, 3)), linear.weight, linear.bias))


def test_the_recurrent_gates_are_an_lstm_over_the_blocks():
    torch.manual_seed(0)
    gates = RecurrentGates(3, 4).double()
    states = [batch(5, 3, 2, 2) * number for number in range(1, 5)]
    whole = nn.LSTM(10, 10).double()
    own = {name.removesuffix("_l0"): parameter for name, parameter in whole.named_parameters()}
    with torch.no_grad():
        for name, parameter in gates.lstm.named_parameters():
            own[name].copy_(parameter)
    embedded = [embed(h.mean(dim=(2, 3))) for embed, h in zip(gates.embed, states, strict=True)]
    expected, _ = whole(torch.stack(embedded))
    memory = None
    for place, h in enumerate(states):
        score_B, memory = gates(place, h, memory)
        torch.testing.assert_close(score_B, gates.score(expected[place]).squeeze(1))


def test_pools_everything_but_batch_and_width():
    images, tokens, vectors = batch(2, 3, 4, 5), batch(2, 4, 3), batch(2, 3)
    for b in range(2):
        torch.testing.assert_close(pooled(images)[b], torch.stack([image.mean() for image in images[b]]))
        torch.testing.assert_close(pooled(tokens)[b], sum(tokens[b]) / 4)
    assert torch.equal(pooled(vectors), vectors)


@pytest.mark.parametrize(
    ("options", "make"),
    [
        ({"family": "mlp", "ops": ["residual"]}, lambda: RecurrentGates(8, 3)),
        ({"family": "transformer", "heads": 2}, lambda: RecurrentGates(8, 3)),
        ({"family": "resnet"}, lambda: RecurrentGates(8, 3)),
        ({"family": "resnet"}, lambda: FeedForwardGates([ff_gate_1(8) for _ in range(3)])),
        ({"family": "resnet"}, lambda: FeedForwardGates([ff_gate_2(8) for _ in range(3)])),
    ],
)
@torch.no_grad()
def test_decisions_of_gates_are_the_same_in_both_passes(options, make):
    torch.manual_seed(1)
    space = make_space({**options, "depth": 3, "width": 8}, input_shape=(1, 8, 8), num_classes=3)
    chain, gates = space.build(answer(space, {}, partial=True)).eval(), make().eval()
    x_B = 3 * torch.randn(9, 1, 8, 8)
    answers, policies = [], []
    for step in (masked, compacted):
        memory = None

        def above_median(place, h_B):
            nonlocal memory
            score_B, memory = gates(place, h_B, memory)
            return (score_B > score_B.median()).float()

        y_BK, decided = walk(chain, x_B, above_median, blocks=(1, 2, 3), step=step)
        answers.append(y_BK)
        policies.append(torch.stack(decided))
    assert torch.equal(*policies)
    assert policies[0].sum(dim=1).tolist() == [4, 4, 4]  # of nine, those above the median
    torch.testing.assert_close(*answers, rtol=0, atol=1e-6)
