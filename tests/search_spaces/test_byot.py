"""BYOT: what a step trains, exit by exit in float64."""

import pytest
import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.errors import InvalidInput
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.byot import hint_loss
from search_spaces.relaxations.chains import architecture_of
from search_spaces.relaxations.relaxation import HasObjective, Probed, Supernet
from tests.search_spaces.scaling import scaling

SPACE = make_space({"family": "mlp", "depth": {"min": 1, "max": 5}, "width": 6}, input_shape=(3,), num_classes=4)
X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(7) % 4


def byot(space=SPACE, **options):
    torch.manual_seed(0)
    network = make_relaxation({"name": "byot", **options}).supernet(space).double()
    for protocol in (Supernet, HasObjective, Probed):
        assert isinstance(network, protocol)
    return network


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def divergence(student_BK, teacher_BK, temperature):
    """`T^2 KL`, input by input and class by class."""
    total = 0.0
    for s, t in zip(student_BK, teacher_BK.detach(), strict=True):
        q, p = torch.exp(s / temperature), torch.exp(t / temperature)
        q, p = q / q.sum(), p / p.sum()
        total = total + sum(p[k] * torch.log(p[k] / q[k]) for k in range(4))
    return temperature**2 * total / len(student_BK)


def distance(features_BD, teacher_BD):
    """`|F_i - F_C|^2`, input by input and feature by feature."""
    pairs = zip(features_BD, teacher_BD.detach(), strict=True)
    return sum((f[d] - t[d]) ** 2 for f, t in pairs for d in range(len(f))) / len(features_BD)


def test_exits_learn_from_labels_and_from_answers_and_features_of_the_deepest():
    network = byot(exits=[1, 3, 5], alpha=0.3, temperature=2.0, hint_weight=0.2)
    h = network.chain.hidden_states(X)
    y1, y3, y5 = (network.heads[str(depth)](h[depth]) for depth in (1, 3, 5))
    early = [
        0.7 * F.cross_entropy(y, Y) + 0.3 * divergence(y, y5, 2.0) + 0.2 * distance(h[depth], h[5])
        for depth, y in ((1, y1), (3, y3))
    ]
    expected = (sum(early) + F.cross_entropy(y5, Y)) / 3
    loss = network.objective(X, Y, criterion)
    torch.testing.assert_close(loss, expected)
    parameters = list(network.parameters())
    for one, other in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_temperature_stays_what_it_is():
    network = byot(temperature=3.0)
    for _ in range(3):
        network.objective(X, Y, criterion)
    assert network.temperature == 3


def test_the_last_exit_learns_from_labels_alone():
    network = byot(exits=[2, 5], alpha=1.0, hint_weight=5.0)
    last_block = list(network.chain.blocks[4].parameters())
    gradients = torch.autograd.grad(network.objective(X, Y, criterion), last_block)
    alone = torch.autograd.grad(F.cross_entropy(network(X), Y) / 2, last_block)
    for one, other in zip(gradients, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_features_are_means_over_positions():
    """One input, two channels of 1x2 pixels: means 2 and 5 against 3 and 1, so 1 + 16; two exits share the mean."""
    early = torch.tensor([[[[1.0, 3.0]], [[4.0, 6.0]]]])
    late = torch.tensor([[[[3.0, 3.0]], [[0.0, 2.0]]]])
    assert hint_loss([early, late]) == 17 / 2


def test_levels_double_so_distances_are_known():
    """States 1, 2 and 4 of two features each, from an input of ones: 2 * 9 and 2 * 4, over three exits."""
    network = byot(scaling(depth=[0, 1, 2]), alpha=0.0, hint_weight=1.0)
    without = byot(scaling(depth=[0, 1, 2]), alpha=0.0, hint_weight=0.0)
    ones, label = torch.ones(1, 2, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    hint = network.objective(ones, label, criterion) - without.objective(ones, label, criterion)
    assert hint.item() == pytest.approx((18 + 8) / 3)


def test_a_derived_network_starts_from_its_exit():
    network = byot(exits=[2, 4]).float()
    heir = SPACE.build(architecture_of(SPACE, 2))
    heir.load_state_dict(inherit(heir.state_dict(), network.state_dict(), Inheritance.prefix(2)))
    torch.testing.assert_close(heir(X.float()), network.exit_logits(X.float())[0])


@pytest.mark.parametrize("method", ["byot", "scan"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exits": [2, 9]}, r"exits: must be among the space's depths \[1, 2, 3, 4, 5\], got \[9\]"),
        ({"exits": [3, 2]}, r"exits: must be at least two, ascending, got \[3, 2\]"),
    ],
)
def test_exits_that_cannot_be_trained(method, options, message):
    with pytest.raises(InvalidInput, match=message):
        make_relaxation({"name": method, **options}).check(SPACE)


@pytest.mark.parametrize("method", ["byot", "scan"])
def test_only_the_depth_is_open(method):
    with pytest.raises(InvalidInput, match=f"{method} learns depth only: space.ops must be one"):
        make_relaxation({"name": method}).check(scaling(depth=[1, 2], ops=["double", "triple"]))
