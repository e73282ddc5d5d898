"""Multi-scale dense networks: widths and FLOPs by hand, and diagonals against columns of layers."""

from itertools import accumulate

import pytest
import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.compose import answer, enumerate_space, size
from search_spaces.dynamic.operating_point import exit_flops
from search_spaces.flops import count_flops, inference_flops
from search_spaces.multiscale_network import FACTORS, Plan
from search_spaces.relaxations.relaxation import HasObjective, Supernet

SHAPE = (1, 8, 8)
TINY = {"scales": 2, "growth": 2, "base": 2, "channels": 4, "head_channels": 5}
"""Of depth 4, it has two parts of two layers, the first with both scales, and exits at 2 and 4."""


def build(shape=SHAPE, **options):
    space = make_space({"family": "multiscale", **options}, input_shape=shape, num_classes=3)
    torch.manual_seed(0)
    return space.build(answer(space, {}))


def test_widths_by_hand():
    """Each layer adds 2 channels to the finer scale and 4 to the coarser one; the second layer of each halves them.

    The finer scale is a layer behind. Its last layer is the second, which the third of the coarser one reads.
    """
    network = build(depth=4, **TINY)
    assert network.depths == (2, 4)
    states = [[tuple(h.shape[1:]) for h in maps] for maps in network.chain.hidden_states(torch.randn(2, *SHAPE))]
    assert states == [
        [(4, 8, 8), (8, 4, 4)],
        [(4, 8, 8), (12, 4, 4)],
        [(6, 8, 8), (8, 4, 4)],
        [(12, 4, 4)],
        [(16, 4, 4)],
    ]


def test_without_halving():
    network = build(depth=4, halving=False, **TINY)
    states = [[tuple(h.shape[1:]) for h in maps] for maps in network.chain.hidden_states(torch.randn(2, *SHAPE))]
    assert states == [
        [(4, 8, 8), (8, 4, 4)],
        [(4, 8, 8), (12, 4, 4)],
        [(6, 8, 8), (16, 4, 4)],
        [(20, 4, 4)],
        [(24, 4, 4)],
    ]


def test_flops_by_hand():
    """Multiplications, by kernel, pixels and channels; a bottleneck is 1x1, then 3x3."""
    fine, coarse = 8 * 8, 4 * 4
    stem = fine * 9 * 1 * 4 + coarse * 9 * 4 * 8
    # Half of the 4 channels that are added come from each scale, through bottlenecks of 1 x 2 and of 2 x 2 channels.
    first = (fine * 4 * 2 + coarse * 9 * 2 * 2) + (coarse * 8 * 4 + coarse * 9 * 4 * 2)
    finer_first = fine * 4 * 2 + fine * 9 * 2 * 2
    second = (fine * 6 * 2 + coarse * 9 * 2 * 2) + (coarse * 12 * 4 + coarse * 9 * 4 * 2) + coarse * 16 * 8
    finer_second = fine * 6 * 2 + fine * 9 * 2 * 2 + fine * 8 * 4
    third = (fine * 4 * 2 + coarse * 9 * 2 * 2) + (coarse * 8 * 4 + coarse * 9 * 4 * 2)
    fourth = coarse * 12 * 8 + coarse * 9 * 8 * 4  # nothing is finer: all 4 from here, through 2 x 4 channels
    head_2 = 4 * 9 * 8 * 5 + 1 * 9 * 5 * 5 + 5 * 3
    head_4 = 4 * 9 * 16 * 5 + 1 * 9 * 5 * 5 + 5 * 3
    to_exit = stem + first + finer_first + second + head_2, finer_second + third + fourth + head_4
    network = build(depth=4, **TINY)
    assert exit_flops(network, SHAPE) == tuple(2 * products for products in accumulate(to_exit))
    assert inference_flops(network, SHAPE) == 2 * (sum(to_exit) - head_2)  # which `forward` does not ask


@pytest.mark.parametrize(
    ("depth", "num_scales", "last"),
    [
        (24, 3, [8, 16, 24]),  # parts of 8
        (
            5,
            4,
            [2, 3, 4, 5],
        ),  # parts of 2, but the last exit does not see layer 4 of the second scale, nor 5 of the next
        (2, 3, [0, 1, 2]),
        (1, 3, [-1, 0, 1]),
        (3, 1, [3]),
    ],
)
def test_where_scales_end(depth, num_scales, last):
    plan = Plan(depth=depth, num_scales=num_scales, growth=6, channels=16, halves=True)
    assert [plan.last(scale) for scale in range(num_scales)] == last


def test_the_papers_network_for_cifar():
    """24 layers, 3 scales: 16 + 8 * 6 = 64, half 32; 32 + 48 = 80, half 40; 40 + 48 = 88, four times at the end."""
    plan = Plan(depth=24, num_scales=3, growth=6, channels=16, halves=True)
    assert [plan.width(layer, 2) for layer in (0, 7, 8, 16, 24)] == [64, 232, 128, 160, 352]
    assert [layer for layer in range(1, 25) if plan.is_halved(layer)] == [8, 16]
    network = build((3, 32, 32), depth=24)
    assert network.depths == (4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24)


def by_columns(network, plan, x_B):
    """The paper's way: all scales of a layer, then the next layer. Logits of every exit."""
    column = dict(enumerate(network.chain.stem(x_B)))
    logits = []
    for layer in range(1, plan.depth + 1):
        before, column = column, {}
        for scale in range(plan.num_scales):
            lag = plan.num_scales - 1 - scale
            number = layer + lag
            if number > plan.depth or str(lag) not in network.chain.blocks[number - 1].layers:
                continue
            module, parts = network.chain.blocks[number - 1].layers[str(lag)], [before[scale]]
            if scale - 1 in before:
                parts.append(module.from_finer(before[scale - 1]))
            parts.append(module.from_own(before[scale]))
            added = sum(part.shape[1] for part in parts[1:])
            assert added == plan.growth * FACTORS[scale]
            column[scale] = module.merge(torch.cat(parts, dim=1))
        if layer in network.depths:
            logits.append(network.heads[str(layer)]((column[plan.num_scales - 1],)))
    return logits


SIZES = [(depth, scales, halving) for depth in (1, 2, 3, 5, 8) for scales in (1, 2, 3, 4) for halving in (False, True)]


@pytest.mark.parametrize(("depth", "scales", "halving"), SIZES)
@pytest.mark.parametrize("training", [False, True])
def test_diagonals_give_what_columns_give(depth, scales, halving, training):
    options = {"scales": scales, "halving": halving, "growth": 3, "channels": 5, "head_channels": 4}
    network = build((2, 9, 8), depth=depth, base=1, step=2, **options).double().train(training)
    plan = Plan(depth=depth, num_scales=scales, growth=3, channels=5, halves=halving)
    x_B = torch.randn(6, 2, 9, 8, dtype=torch.float64)
    for one, other in zip(network.exit_logits(x_B), by_columns(network, plan, x_B), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(network(x_B), network.exit_logits(x_B)[-1])


@pytest.mark.parametrize(("depth", "scales"), [(7, 3), (5, 4), (6, 2)])
def test_an_exit_needs_all_that_is_computed_up_to_it_and_nothing_else(depth, scales):
    network = build(depth=depth, scales=scales, base=1, growth=3, channels=5, head_channels=4)
    x_B = torch.randn(8, *SHAPE)
    for number, exit_ in enumerate(network.depths):
        network.zero_grad()
        network.exit_logits(x_B)[number].square().sum().backward()
        used = {name for name, weight in network.named_parameters() if weight.grad is not None}
        before = ["chain.stem.", f"heads.{exit_}.", *(f"chain.blocks.{block}." for block in range(exit_))]
        assert used == {name for name, _ in network.named_parameters() if name.startswith(tuple(before))}


def test_the_cost_of_the_last_exit_is_that_of_the_pass_through_all():
    network = build((3, 16, 16), depth=6, base=2, step=1).eval()
    flops = exit_flops(network, (3, 16, 16))
    assert len(flops) == 5
    assert flops[-1] == count_flops(lambda: network.exit_logits(torch.randn(1, 3, 16, 16)))
    assert network(torch.randn(1, 3, 16, 16)).shape == (1, 3)


EXITS = [
    ({"depth": 8, "base": 4, "step": 2}, (4, 6, 8)),
    ({"depth": 7, "base": 4, "step": 2}, (4, 6, 7)),  # the last layer has one in any case
    ({"depth": 5, "base": 4, "step": 2}, (4, 5)),
    ({"depth": 4, "base": 4, "step": 2}, (4,)),
    ({"depth": 3, "base": 4, "step": 2}, (3,)),
]


@pytest.mark.parametrize(("options", "exits"), EXITS)
def test_where_exits_are(options, exits):
    assert build(**options).depths == exits


def test_every_network_is_offered_once():
    """Exits by depth, base, step. 2: {2}. 4: {2, 4} by either step of which one fits, {4}. 6: {2, 4, 6}, {2, 5, 6},
    {4, 6}, and base 4 has room for the step 2 alone."""
    options = {"family": "multiscale", "depth": [1, 2, 4, 6], "base": [2, 4], "step": [2, 3]}
    space = make_space(options, input_shape=SHAPE, num_classes=3)
    points = list(enumerate_space(space))
    assert [tuple(one.form["exits"]) for one in points] == [
        *((1,), (2,), (2, 4), (4,)),
        *((2, 4, 6), (2, 5, 6), (4, 6)),
    ]
    assert [one.depth for one in points] == [1, 2, 4, 4, 6, 6, 6]
    assert len(set(points)) == size(space).points == 7


def test_all_exits_are_trained_alike():
    network = build(depth=4, **TINY)
    assert isinstance(network, HasObjective)
    assert not isinstance(network, Supernet)
    x_B, y_B = torch.randn(6, *SHAPE), torch.tensor([0, 1, 2, 0, 1, 2])
    loss = network.objective(x_B, y_B, lambda y_BK, y_B: F.cross_entropy(y_BK, y_B, reduction="none"))
    first, second = network.exit_logits(x_B)
    torch.testing.assert_close(loss, (F.cross_entropy(first, y_B) + F.cross_entropy(second, y_B)) / 2)
