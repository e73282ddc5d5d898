"""LayerSelect: weights, slopes and kinks of the selector, by hand."""

import pytest
import torch

from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.errors import InvalidInput
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.level_selector import start_points
from tests.search_spaces.scaling import scaling

LEVELS = 8


def layer_select(*, depth=None, k=None, ops="keep", **fields):
    space = scaling(depth=depth or {"min": 1, "max": LEVELS}, ops=[ops])
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
    ("fields", "field"),
    [
        ({"initial_k": 9.0}, "initial_k"),
        ({"curvature": 4.0}, "curvature"),
        ({"c": 1}, "c"),
        ({"initial_curvature": 1.1}, "initial_curvature"),
        ({"num_starts": 8}, "num_starts"),
        ({"num_starts": 2, "initial_k": 2.0}, "initial_k"),
    ],
)
def test_refuses_options_out_of_range(fields, field):
    with pytest.raises(InvalidInput) as caught:
        make_relaxation({"name": "layer_select", **fields}).check(scaling(depth=[1, 8]))
    assert caught.value.field == field


def squared_error(y_BK, y_B):
    return (y_BK[:, 0] - y_B) ** 2


def test_the_objective_of_the_control_is_the_loss_of_the_selection():
    network = layer_select(depth=[1, 2], k=1.5, ops="double")
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1])
    # The output is 0.75 (2 x + 4 x): 4.5 and 9.
    assert network.objective(x, y, squared_error).item() == (4.5**2 + 8**2) / 2


def test_auxiliary_loss():
    network = layer_select(depth=[1, 2], k=1.5, ops="double", auxiliary_weight=0.5).double()
    loss = network.objective(torch.ones(1, 1, dtype=torch.float64), torch.tensor([0]), squared_error)
    assert loss.item() == 4.5**2 + 0.5 * (2**2 + 4**2) / 2
    loss.backward()
    # Slopes of the weights are -1 and 1, so that of the output is 2; the levels' own losses know nothing of k.
    assert network.selector.k.grad.item() == 2 * 4.5 * 2


def test_auxiliary_loss_trains_the_levels_that_are_not_selected():
    x, y = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    for weight, is_trained in ((0.0, False), (1.0, True)):
        network = mlp_select(initial_k=1.0, auxiliary_weight=weight)
        network.objective(x, y, torch.nn.CrossEntropyLoss(reduction="none")).backward()
        gradients = [parameter.grad for parameter in network.chain.blocks[2].parameters()]
        assert all((gradient is not None and bool(gradient.any())) is is_trained for gradient in gradients)


def mlp_select(**fields):
    torch.manual_seed(0)
    return make_relaxation({"name": "layer_select", **fields}).supernet(MLP)


MLP = make_space({"family": "mlp", "depth": [1, 2, 3], "width": 4}, input_shape=(2,), num_classes=2)


def test_own_heads_mix_logits():
    network = mlp_select(initial_k=2.25, heads="own")
    x = torch.randn(5, 2)
    states = network.chain.hidden_states(x)
    expected = 0.9375 * network.heads["2"](states[2]) + 0.4375 * network.heads["3"](states[3])
    torch.testing.assert_close(network(x), expected)
    levels = network.probe(x).levels
    heads = [network.heads[name] for name in "1123"]  # the stem has none of its own
    for level, head, state in zip(levels, heads, states, strict=True):
        assert torch.equal(level, head(state))


@pytest.mark.parametrize("heads", ["shared", "own"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_derived_chain_that_inherits_is_the_level_that_was_probed(heads, depth):
    network = mlp_select(heads=heads)
    chain = MLP.build(answer(MLP, {"depth": depth}))
    inheritance = Inheritance(blocks=tuple(range(1, depth + 1)))
    chain.load_state_dict(inherit(chain.state_dict(), network.state_dict(), inheritance))
    x = torch.randn(5, 2)
    torch.testing.assert_close(chain(x), network.probe(x).levels[depth])


def probe_of_doublings(**fields):
    """Of levels 1, 2, 4, 8."""
    network = layer_select(depth=[1, 2, 3], k=2.25, ops="double", **fields).double()
    x = torch.ones(1, 1, dtype=torch.float64)
    probe = network.probe(x)
    assert torch.equal(probe.logits, network(x))
    return probe


def test_probe_of_the_raw_selector():
    probe = probe_of_doublings()  # weights 0, 0, 0.9375, 0.4375
    assert probe.logits.item() == 3.75 + 3.5
    assert [level.item() for level in probe.levels] == [1, 2, 4, 8]
    assert [rest.item() for rest in probe.removals] == [7.25, 7.25, 3.5, 3.75]
    assert [size.item() for size in probe.sizes] == [1, 4, 16, 64]


def test_probe_of_the_normalized_selector():
    probe = probe_of_doublings(normalized=True)
    assert probe.logits.item() == pytest.approx(7.25 / 1.375)
    assert [level.item() for level in probe.levels] == [1, 2, 4, 8]
    assert [rest.item() for rest in probe.removals] == pytest.approx([7.25 / 1.375, 7.25 / 1.375, 8, 4])


@pytest.mark.parametrize(
    ("k", "curvature", "cost", "slope"),
    [
        # FLOPs of the chains: 16 + 32 d + 16, relative to the deepest 0.5, 0.75, 1.
        (1.5, 1.0, (0.75 * 0.5 + 0.75 * 0.75) / 1.5, 0.25 / 1.5),
        (2.0, 0.25, 0.75, 0.1),
        (2.0, 1.0, 0.75, 0.0),
    ],
)
def test_flop_penalty(k, curvature, cost, slope):
    for normalized in (False, True):
        network = mlp_select(initial_k=k, curvature=curvature, normalized=normalized, flop_penalty=3.0)
        penalty = network.penalty()
        assert penalty.item() == pytest.approx(3 * cost)
        penalty.backward()
        assert network.selector.k.grad.item() == pytest.approx(3 * slope, abs=1e-6)


def test_the_control_pays_no_penalty():
    assert layer_select().penalty().item() == 0.0


def test_the_window_narrows_by_equal_factors():
    network = layer_select(curvature=1.0, initial_curvature=0.25, k=4.0)
    assert network.profile()[2:6] == pytest.approx((0.0, 0.75, 1.0, 0.75))
    curvatures = []
    for progress in (0.0, 0.25, 0.5, 0.75):
        network.anneal(progress)
        curvatures.append(1 - network.profile()[5])  # one level from k
    assert curvatures == pytest.approx([0.25, 0.25 * 2**0.5, 0.5, 0.5 * 2**0.5])


@pytest.mark.parametrize(
    ("num_levels", "starts"),
    [(8, [4.5]), (8, [2.5, 6.5]), (8, [2.5, 4.5, 6.5]), (4, [1.5, 2.5, 3.5]), (2, [1.5]), (5, [1.5, 3.5])],
)
def test_starts_are_spread_over_the_half_way_points(num_levels, starts):
    assert start_points(num_levels, len(starts)) == starts


def restarted(first_end, second_end):
    network = layer_select(num_starts=2, initial_curvature=0.25)
    network.anneal(0.0)
    assert network.selector.k.item() == 2.5
    network.selector.k.data.fill_(first_end)
    for progress, k in ((0.25, first_end), (0.5, 6.5)):
        network.anneal(progress)
        assert network.selector.k.item() == pytest.approx(k)
    assert network.selector.curvature == 0.25  # the window is wide again
    network.selector.k.data.fill_(second_end)
    return network


@pytest.mark.parametrize(
    ("losses", "ranked"),
    [({3: 0.9, 6: 0.4}, [6, 3, 4, 7, 5, 2, 8, 1]), ({3: 0.4, 6: 0.9}, [3, 6, 4, 7, 5, 2, 8, 1])],
)
def test_the_ends_of_all_starts_come_first_in_the_order_of_their_losses(losses, ranked):
    readings = {"level_loss": tuple(losses.get(level, 0.1) for level in range(LEVELS + 1))}
    derived = restarted(3.2, 6.1).derive(readings)
    assert [one.depth for one in derived] == ranked


def test_starts_are_part_of_the_state():
    network, resumed = restarted(3.2, 6.1), layer_select(num_starts=2, initial_curvature=0.25)
    resumed.load_state_dict(network.state_dict())
    for one in (network, resumed):
        one.anneal(0.75)
    assert resumed.selector.k.item() == pytest.approx(6.1)
    assert resumed.selector.ends() == pytest.approx([3.2, 6.1])
    assert resumed.profile() == network.profile()


def test_a_start_that_was_never_made_is_not_ranked():
    network = layer_select(num_starts=3)
    network.anneal(0.7)
    assert network.selector.ends() == [2.5, 6.5]


def test_recipes():
    joint = make_relaxation({"name": "layer_select", "k_learning_rate": 0.1, "warmup_epochs": 2})
    assert joint.recipe == "joint"
    assert joint.recipe_options() == {"architecture_learning_rate": 0.1, "warmup_epochs": 2}
    bilevel = make_relaxation({"name": "layer_select", "level": "validation"})
    assert bilevel.recipe == "bilevel"
    assert bilevel.recipe_options()["architecture_weight_decay"] == 0


def test_k_set_between_epochs_goes_from_shallow_to_deep():
    network = layer_select(movement="shallow_to_deep", depth={"min": 1, "max": 4})
    assert network.architecture_parameters() == []
    assert not network.selector.k.requires_grad
    visited = []
    for epoch in range(8):
        network.anneal(epoch / 8)
        visited.append(network.profile())
    whole = [tuple(float(level == k) for level in range(5)) for k in range(5)]
    assert visited == [whole[k] for k in (1, 1, 2, 2, 3, 3, 4, 4)]  # all weight on one level: the prefix itself
    losses = (9.0, 0.4, 0.2, 0.3, 0.2)
    assert [one.depth for one in network.derive({"level_loss": losses})] == [2, 4, 3, 1]
    with pytest.raises(InvalidInput, match="movement: is set between epochs: leave initial_k and num_starts out"):
        layer_select(movement="shallow_to_deep", k=2.5)
    with pytest.raises(InvalidInput, match="level: moves a k that is learned"):
        layer_select(movement="shallow_to_deep", level="validation")
