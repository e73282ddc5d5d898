"""LayerSelect: weights, slopes and kinks of the selector, by hand."""

import pytest
import torch

from search_spaces.errors import InvalidInput
from search_spaces.relaxations import Supernet, make_relaxation
from tests.search_spaces.scaling import scaling

LEVELS = 8


def layer_select(*, depth=None, k=None, **fields):
    space = scaling(depth=depth or {"min": 1, "max": LEVELS}, ops=["keep"])
    network = make_relaxation({"name": "layer_select", "initial_k": k, **fields}).supernet(space)
    assert isinstance(network, Supernet)
    return network


def slopes(network):
    """dw_l/dk for every level 1..L."""
    return [
        torch.autograd.grad(weight, network.selector.k, retain_graph=True)[0].item()
        for weight in network.selector.weights()
    ]


@pytest.mark.parametrize(
    ("curvature", "k", "weights"),
    [
        (1.0, 4.0, {4: 1.0}),
        (1.0, 4.25, {4: 0.9375, 5: 0.4375}),
        (1.0, 4.5, {4: 0.75, 5: 0.75}),
        (0.25, 4.0, {3: 0.75, 4: 1.0, 5: 0.75}),
        (0.25, 4.25, {3: 0.609375, 4: 0.984375, 5: 0.859375, 6: 0.234375}),
        (0.25, 4.5, {3: 0.4375, 4: 0.9375, 5: 0.9375, 6: 0.4375}),
    ],
)
def test_weights(curvature, k, weights):
    expected = [weights.get(level, 0.0) for level in range(LEVELS + 1)]
    assert list(layer_select(curvature=curvature, k=k).profile()) == expected


@pytest.mark.parametrize(
    ("curvature", "k", "total"),
    [(1.0, 4, 1.0), (1.0, 4.25, 1.375), (1.0, 4.5, 1.5), (0.25, 4, 2.5), (0.25, 4.25, 2.6875), (0.25, 4.5, 2.75)],
)
def test_raw_output_scales_with_k_and_normalized_does_not(curvature, k, total):
    x = torch.ones(1, 1)  # every level of this chain is x
    assert layer_select(curvature=curvature, k=k)(x).item() == total
    normalized = layer_select(curvature=curvature, k=k, normalized=True)
    assert normalized(x).item() == pytest.approx(1.0)
    assert sum(normalized.profile()) == pytest.approx(1.0)


def test_slopes_inside_the_window():
    # dw_l/dk = 2c (l - k)
    assert slopes(layer_select(curvature=1.0, k=4.25)) == [0, 0, 0, -0.5, 1.5, 0, 0, 0]
    assert slopes(layer_select(curvature=0.25, k=4.25)) == [0, 0, -0.625, -0.125, 0.375, 0.875, 0, 0]


def test_narrow_selector_has_no_slope_at_whole_k():
    for k in range(1, LEVELS + 1):
        assert slopes(layer_select(curvature=1.0, k=k)) == [0.0] * LEVELS


def test_slope_at_the_kink_is_zero():
    # With c = 1/4 the levels at distance 2 lie on the kink: from inside, their slopes would be -1 and 1.
    assert slopes(layer_select(curvature=0.25, k=4)) == [0, 0, -0.5, 0, 0.5, 0, 0, 0]


@pytest.mark.parametrize(("k", "clipped"), [(0.3, 1.0), (8.01, 8.0), (7.99, 7.99), (1.0, 1.0)])
def test_k_is_clipped_to_the_levels(k, clipped):
    network = layer_select()
    with torch.no_grad():
        network.selector.k.fill_(k)
    network.constrain()
    assert network.selector.k.item() == pytest.approx(clipped)


@pytest.mark.parametrize(("largest", "k"), [(2, 1.5), (3, 1.5), (4, 2.5), (5, 2.5), (8, 4.5)])
def test_starts_between_two_middle_levels(largest, k):
    assert layer_select(depth={"min": 1, "max": largest}).selector.k.item() == k


def test_level_0_is_never_selected():
    space = scaling(depth=[0, 1, 2], ops=["double"])
    network = make_relaxation({"name": "layer_select", "initial_k": 1}).supernet(space)
    assert network(torch.ones(1, 1)).item() == 2.0
    assert [one.depth for one in network.derive({})] == [1, 2]


@pytest.mark.parametrize(
    ("depth", "k", "ranked"),
    [
        ([1, 2, 3, 4, 5], 3.4, [3, 4, 2, 5, 1]),
        ([1, 2, 3, 4, 5], 2.5, [2, 3, 1, 4, 5]),
        ([2, 4, 8], 5.0, [4, 2, 8]),
        ([8, 1], 7.0, [8, 1]),
    ],
)
def test_derives_the_allowed_depths_nearest_to_k(depth, k, ranked):
    derived = layer_select(depth=depth, k=k).derive({})
    assert [one.depth for one in derived] == ranked
    assert [dict(one.decisions) for one in derived] == [{"depth": d} for d in ranked]


def test_a_single_stage_may_be_written_as_a_stage():
    space = scaling(stages=[{"depth": [1, 2], "width": 1}])
    derived = make_relaxation({"name": "layer_select"}).supernet(space).derive({})
    assert [dict(one.decisions) for one in derived] == [{"stage1.depth": 1}, {"stage1.depth": 2}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stages": [{"depth": 1, "width": 1}, {"depth": [1, 2], "width": 1}]}, r"space\.stages must have 1, got 2"),
        ({"depth": [1, 2], "ops": ["double", "keep"]}, r"space\.ops must be one, got \['double', 'keep'\]"),
        ({"depth": [1, 2], "block_width": [1, 2]}, r"space\.block_width must be a single width, got \[1, 2\]"),
        ({"depth": [1, 2], "width": [1, 2]}, r"space\.width must be a single width, got \[1, 2\]"),
        ({"depth": [0, 3]}, r"two depths of at least 1 to choose from, got \[3\]"),
    ],
)
def test_refuses_spaces_with_more_or_less_than_a_depth(fields, message):
    with pytest.raises(InvalidInput, match=message):
        make_relaxation({"name": "layer_select"}).check(scaling(**fields))


@pytest.mark.parametrize(
    ("fields", "field"), [({"initial_k": 9.0}, "initial_k"), ({"curvature": 4.0}, "curvature"), ({"c": 1}, "c")]
)
def test_refuses_options_out_of_range(fields, field):
    with pytest.raises(InvalidInput) as caught:
        make_relaxation({"name": "layer_select", **fields}).check(scaling(depth=[1, 8]))
    assert caught.value.field == field
