"""Fusion: weights, gradients, readings and rankings of every mix, by hand.

The levels of the chain of doublings are x, 2x, 4x, 8x, and its head does nothing: at x = 1 the mixture is
`w_0 + 2 w_1 + 4 w_2 + 8 w_3`, whose slope in a weight is the level.
"""

import math

import pytest
import torch

from search_spaces.errors import InvalidInput
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.layer_fusion import linear_weights
from tests.search_spaces.scaling import scaling

ONE = torch.ones(1, 1, dtype=torch.float64)
LEVELS = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
MAPS = ("softmax", "sparsemax", "entmax15")
MIXES = ("linear", *MAPS)


def layer_fusion(scores=None, *, depth=(1, 2, 3), gamma=None, **fields):
    space = scaling(depth=list(depth), ops=["double"])
    network = make_relaxation({"name": "layer_fusion", **fields}).supernet(space).double()
    assert isinstance(network, Supernet)
    with torch.no_grad():
        if scores is not None:
            network.scores_L.copy_(torch.tensor(scores, dtype=torch.float64))
        if gamma is not None:
            network.gamma.fill_(gamma)
    return network


CASES = {
    "linear": ([0.5, -1.0, 0.25, 0.125], [0.5, -1.0, 0.25, 0.125], [1, 2, 4, 8]),
    # The slope of a score is its weight times what its level has more than the mixture, 4.9.
    "softmax": ([0.0, math.log(2), math.log(3), math.log(4)], [0.1, 0.2, 0.3, 0.4], [-0.39, -0.58, -0.27, 1.24]),
    # Two levels are left, with threshold (1 + 0.8 - 1) / 2; on them the slope is h_l less their mean.
    "sparsemax": ([1.0, 0.8, 0.1, -1.0], [0.6, 0.4, 0, 0], [-0.5, 0.5, 0, 0]),
    # The threshold is 0: weights (s / 2)^2; slopes r (h - sum r h / sum r), with r = (0.8, 0.6) the weights' roots.
    "entmax15": ([1.6, 1.2, -0.5, -1.0], [0.64, 0.36, 0, 0], [-2.4 / 7, 2.4 / 7, 0, 0]),
}


@pytest.mark.parametrize("mix", MIXES)
def test_weights_and_gradients(mix):
    scores, weights, slopes = CASES[mix]
    network = layer_fusion(scores, mix=mix)
    assert network.profile() == pytest.approx(weights, abs=1e-12)
    out = network(ONE)
    assert out.item() == pytest.approx(sum(w * h for w, h in zip(weights, LEVELS.tolist(), strict=True)))
    out.backward()
    assert network.scores_L.grad.tolist() == pytest.approx(slopes, abs=1e-12)


@pytest.mark.parametrize("mix", MAPS)
def test_gamma_scales_a_map(mix):
    scores, _, slopes = CASES[mix]
    plain, scaled = (layer_fusion(scores, mix=mix, gamma=gamma) for gamma in (1, -3))
    assert scaled.profile() == plain.profile()
    assert scaled(ONE).item() == pytest.approx(-3 * plain(ONE).item())
    scaled(ONE).backward()
    assert scaled.scores_L.grad.tolist() == pytest.approx([-3 * slope for slope in slopes], abs=1e-12)
    assert scaled.gamma.grad.item() == pytest.approx(plain(ONE).item())
    assert len(scaled.architecture_parameters()) == 2


def bisected(scores, weight):
    """The weights whose common threshold makes their sum 1."""
    low, high = scores.min() - 1, scores.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if weight(scores - middle).sum() > 1 else (low, middle)
    return weight(scores - low)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mix", ["sparsemax", "entmax15"])
def test_sparse_weights_against_bisection_and_their_gradient_against_differences(mix, seed):
    scores = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    if mix == "sparsemax":
        expected = bisected(scores, lambda z: z.clamp(min=0))
    else:
        expected = bisected(scores / 2, lambda z: z.clamp(min=0) ** 2)
    network = layer_fusion(scores.tolist(), mix=mix)
    assert network.profile() == pytest.approx(expected.tolist(), abs=1e-12)
    network(ONE).backward()
    step = 1e-6
    for level in range(4):
        shift = step * torch.eye(4, dtype=torch.float64)[level]
        above, below = (layer_fusion((scores + sign * shift).tolist(), mix=mix)(ONE).item() for sign in (1, -1))
        assert network.scores_L.grad[level].item() == pytest.approx((above - below) / (2 * step), abs=1e-6)


@pytest.mark.parametrize(("mix", "lead"), [("sparsemax", 1.0), ("entmax15", 2.0)])
def test_sparse_maps_reach_a_delta_and_stay_there(mix, lead):
    network = layer_fusion([0.0, 0.0, lead, 0.0], mix=mix)
    assert network.profile() == (0.0, 0.0, 1.0, 0.0)
    network(ONE).backward()
    assert network.scores_L.grad.tolist() == pytest.approx([0.0] * 4)
    almost = layer_fusion([0.0, 0.0, 0.99 * lead, 0.0], mix=mix).profile()
    assert min(almost) > 0
    assert min(layer_fusion([0.0, 0.0, 30.0, 0.0], mix="softmax").profile()) > 0


def test_initial_weights():
    assert layer_fusion().profile() == pytest.approx([0.25] * 4)
    assert layer_fusion(initializer="first").profile() == pytest.approx([0.1, 0, 0, 0])
    for mix in MAPS:
        assert layer_fusion(mix=mix).profile() == pytest.approx([0.25] * 4)


def test_glorot_is_uniform_over_the_fans_of_a_kernel_of_one_output():
    torch.manual_seed(0)
    weights = linear_weights(9_999, "glorot")
    limit = math.sqrt(6 / 10_000)
    assert 0.999 * limit < weights.max() <= limit
    assert -limit <= weights.min() < -0.999 * limit
    assert abs(weights.mean()) < 0.02 * limit  # its standard deviation is 0.006 of the limit


@pytest.mark.parametrize("mix", MIXES)
def test_levels_of_one_size(mix):
    scores, weights, _ = CASES[mix]
    network = layer_fusion(scores, mix=mix, normalize_levels=True)
    assert network(-5 * ONE).item() == pytest.approx(-sum(weights), abs=1e-9)
    assert [size.item() for size in network.probe(3 * ONE).sizes] == pytest.approx([1.0] * 4)


def test_one_size_is_that_of_an_example_and_not_of_a_feature():
    space = scaling(depth=[0, 1], width=2, ops=["double"])
    network = make_relaxation({"name": "layer_fusion", "normalize_levels": True}).supernet(space)
    out = network(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    rms = math.sqrt(12.5)
    assert out.flatten().tolist() == pytest.approx([3 / rms, 4 / rms, 0, math.sqrt(2)], rel=1e-5)


REMOVALS = {
    "linear": [0.0, 2.5, -0.5, -0.5],  # 0.5 - w_l h_l
    "softmax": [4.8 / 0.9, 4.5 / 0.8, 3.7 / 0.7, 1.7 / 0.6],  # (4.9 - p_l h_l) / (1 - p_l)
    "sparsemax": [2.0, 1.0, 1.4, 1.4],
    "entmax15": [2.0, 1.0, 1.36, 1.36],
}


@pytest.mark.parametrize("mix", MIXES)
def test_probe(mix):
    network = layer_fusion(CASES[mix][0], mix=mix)
    probe = network.probe(ONE)
    assert torch.equal(probe.logits, network(ONE))
    assert [level.item() for level in probe.levels] == [1, 2, 4, 8]
    assert [rest.item() for rest in probe.removals] == pytest.approx(REMOVALS[mix], abs=1e-12)
    two = torch.tensor([[2.0], [4.0]], dtype=torch.float64)
    assert [size.item() for size in network.probe(two).sizes] == [10, 40, 160, 640]


def test_probe_reads_every_level_with_the_scale_of_the_mixture():
    network = layer_fusion(CASES["softmax"][0], mix="softmax", gamma=2)
    probe = network.probe(ONE)
    assert [level.item() for level in probe.levels] == [2, 4, 8, 16]
    assert probe.logits.item() == pytest.approx(9.8)
    assert probe.removals[0].item() == pytest.approx(2 * 4.8 / 0.9)
    assert [size.item() for size in probe.sizes] == [1, 4, 16, 64]


def test_nothing_is_left_when_the_only_level_is_removed():
    probe = layer_fusion([0.0, 0.0, 1.0, 0.0], mix="sparsemax").probe(ONE)
    assert [rest.item() for rest in probe.removals] == [4, 4, 0, 4]


READINGS = {
    "scaled_weight": (0.4, 0.3, 0.2, 0.5),
    "level_accuracy": (0.1, 0.8, 0.9, 0.8),
    "level_loss": (0.9, 0.3, 0.2, 0.1),
    "removal_accuracy": (0.9, 0.2, 0.7, 0.1),
    "removal_loss": (0.6, 0.1, 0.9, 0.8),
}


@pytest.mark.parametrize(
    ("rank_by", "ranked"),
    [
        ("weight", [1, 0, 2, 3]),
        ("scaled_weight", [3, 0, 1, 2]),
        ("level_accuracy", [2, 1, 3, 0]),
        ("level_loss", [3, 2, 1, 0]),
        ("removal_accuracy", [3, 1, 2, 0]),
        ("removal_loss", [2, 3, 0, 1]),
    ],
)
def test_derives_the_allowed_depths_by_a_reading(rank_by, ranked):
    for allowed in ([0, 1, 2, 3], [3, 1, 2], [3, 0]):
        network = layer_fusion([0.5, -1.0, 0.25, 0.125], depth=allowed, rank_by=rank_by)
        derived = network.derive(READINGS)
        assert [one.depth for one in derived] == [depth for depth in ranked if depth in allowed]
        assert [dict(one.decisions) for one in derived] == [{"depth": one.depth} for one in derived]


def test_ranks_by_the_scaled_weight_unless_told_otherwise():
    assert [one.depth for one in layer_fusion().derive(READINGS)] == [3, 1, 2]


def test_recipes():
    joint = make_relaxation({"name": "layer_fusion", "architecture_learning_rate": 0.1, "warmup_epochs": 2})
    assert joint.recipe == "joint"
    assert joint.recipe_options() == {"architecture_learning_rate": 0.1, "warmup_epochs": 2}
    bilevel = make_relaxation({"name": "layer_fusion", "level": "validation"})
    assert bilevel.recipe == "bilevel"
    assert bilevel.recipe_options()["architecture_weight_decay"] == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stages": [{"depth": 1, "width": 1}, {"depth": [1, 2], "width": 1}]}, r"layer_fusion needs one stage"),
        ({"depth": [1, 2], "ops": ["double", "keep"]}, r"layer_fusion learns depth only: space\.ops must be one"),
        ({"depth": [3]}, r"layer_fusion needs two depths to choose from, got \[3\]"),
    ],
)
def test_refuses_spaces_with_more_or_less_than_a_depth(fields, message):
    with pytest.raises(InvalidInput, match=message):
        make_relaxation({"name": "layer_fusion"}).check(scaling(**fields))


def test_refuses_an_initializer_that_does_nothing():
    with pytest.raises(InvalidInput, match="linear mix, got mix 'softmax'") as caught:
        layer_fusion(mix="softmax", initializer="first")
    assert caught.value.field == "initializer"
