"""Chains that may choose their depth per input, as points of one space."""

import numpy as np
import pytest
import torch

from search_spaces import make_space
from search_spaces.chain import Chain
from search_spaces.compose import answer, enumerate_space, sample, size
from search_spaces.dynamic_space import STATIC
from search_spaces.errors import InvalidInput
from search_spaces.mechanisms import MECHANISMS
from search_spaces.relaxations.exit_network import ExitNetwork
from search_spaces.relaxations.gated_network import GatedNetwork
from search_spaces.relaxations.policed_network import PolicedNetwork
from search_spaces.relaxations.relaxation import HasObjective, Staged, Supernet

MLP = {"family": "mlp", "depth": [0, 1, 3, 7], "width": [6, 8], "ops": ["residual"]}
IMAGES = {"family": "resnet", "stages": [{"depth": [1, 2], "width": 4, "stride": 2}]}


def dynamic(chain=MLP, input_shape=(5,), **fields):
    return make_space({"family": "dynamic", "chain": chain, **fields}, input_shape=input_shape, num_classes=3)


def chains(chain=MLP):
    return make_space(chain, input_shape=(5,), num_classes=3)


def seeded(space, architecture):
    torch.manual_seed(0)
    return space.build(architecture).eval()


def test_every_mechanism_has_a_field_for_its_options():
    for name, mechanism in MECHANISMS.items():
        assert isinstance(getattr(dynamic(), name), mechanism)


def test_decisions_come_in_order_and_only_where_they_mean_something():
    space = dynamic(exits={"spacing": [2, 4], "teachers": ["last", "later"]}, gates={"supervised_share": [0.5, 1]})
    asked = {tuple(point.decisions) for point in enumerate_space(space)}
    chain = ("depth", "width", "mechanism")
    assert asked == {
        chain,
        (*chain, "exits.spacing"),  # too far apart for a chain of 3
        (*chain, "exits.spacing", "exits.distillation"),  # without teachers
        (*chain, "exits.spacing", "exits.distillation", "exits.teachers"),
        (*chain, "gates.supervised_share"),  # no policy gradient, so skipping is worth nothing
        (*chain, "gates.supervised_share", "gates.alpha"),
        (*chain, "policy.policy_penalty"),
    }


def test_the_size_counted_by_hand():
    """Depths 0 and 1 have no two exits, depth 0 no gate or policy; of depth 3, exits 4 apart are the last alone.

    Per width: static 4; exits 1 + 1 for the shallow, (2 + 1) for 3, 2 + 2 for 7, distillation being on or off; gates
    1 for depth 0 and 2 for each of three others; policies 1 and 3 for each.
    """
    space = dynamic(exits={"spacing": [2, 4]}, gates={"alpha": [0.1, 0.2]}, policy={"policy_penalty": [1, 2, 3]})
    assert size(space).points == 2 * (4 + (1 + 1 + 3 + 4) + (1 + 2 * 3) + (1 + 3 * 3))


@pytest.mark.parametrize(
    ("depth", "spacing", "exits"),
    [(7, 1, [1, 2, 3, 4, 5, 6, 7]), (7, 2, [1, 3, 5, 7]), (7, 3, [1, 4, 7]), (7, 6, [1, 7]), (3, 2, [1, 3])],
)
def test_exits_are_counted_from_the_last(depth, spacing, exits):
    space = dynamic(exits={"spacing": spacing, "distillation": 0.5}, mechanism="exits")
    one = answer(space, {"depth": depth, "width": 8})
    assert one.depth == depth
    assert one.form == {
        "family": "dynamic",
        "chain": answer(chains(), {"depth": depth, "width": 8}).form,
        "mechanism": {"name": "exits", "exits": exits, "distillation": 0.5, "teachers": "last"},
    }
    network = space.build(one)
    assert isinstance(network, ExitNetwork)
    assert network.depths == tuple(exits)
    assert network.options.distillation == 0.5
    assert all(head.weight.shape == (3, 8) for head in network.heads.values())


def test_gates_are_what_was_asked_for():
    space = dynamic(mechanism="gates", gates={"alpha": [0.2, 0.3], "supervised_share": 0.5})
    one = answer(space, {"depth": 3, "width": 6, "gates.alpha": 0.3})
    network = space.build(one)
    assert isinstance(network, GatedNetwork)
    assert (network.options.alpha, network.options.supervised_share, network.blocks) == (0.3, 0.5, (1, 2, 3))


def test_a_policy_is_what_was_asked_for():
    space = dynamic(mechanism="policy", policy={"policy_depth": [0, 2], "joint_penalty": 3})
    network = space.build(
        answer(space, {"depth": 3, "width": 6, "policy.policy_depth": 2, "policy.policy_penalty": 2.0})
    )
    assert isinstance(network, PolicedNetwork)
    assert (network.options.policy_penalty, network.options.joint_penalty, network.blocks) == (2.0, 3.0, (1, 2, 3))
    assert len(network.policy[1].blocks) == 2


@pytest.mark.parametrize("depth", [0, 1, 3, 7])
def test_static_is_the_plain_chain(depth):
    space, plain = dynamic(), answer(chains(), {"depth": depth, "width": 8})
    one = answer(space, {"depth": depth, "width": 8, "mechanism": "static"})
    assert (one.id, one.depth, one.form) == (plain.id, plain.depth, plain.form)
    network = seeded(space, one)
    assert isinstance(network, Chain)
    x_B = torch.randn(2, 5)
    assert torch.equal(network(x_B), seeded(chains(), plain)(x_B))


@pytest.mark.parametrize(
    ("chain", "input_shape", "decisions"),
    [
        (MLP, (5,), {"depth": 3, "width": 8, "mechanism": "exits", "exits.spacing": 5}),
        (MLP, (5,), {"depth": 1, "width": 8, "mechanism": "exits"}),
        (MLP, (5,), {"depth": 0, "width": 8, "mechanism": "gates"}),
        (MLP, (5,), {"depth": 0, "width": 8, "mechanism": "policy"}),
        (IMAGES, (1, 8, 8), {"stage1.depth": 1, "mechanism": "gates"}),  # its only block halves the image
        (IMAGES, (1, 8, 8), {"stage1.depth": 1, "mechanism": "policy"}),
    ],
)
def test_a_chain_too_shallow_for_a_mechanism_is_the_static_one(chain, input_shape, decisions):
    space = dynamic(chain, input_shape, exits={"spacing": [1, 5]})
    plain = {name: option for name, option in decisions.items() if not name.startswith(("mechanism", "exits"))}
    assert answer(space, decisions) == answer(space, {**plain, "mechanism": "static"})


def test_the_whole_network_is_the_chain_under_open_gates_and_at_the_last_exit():
    """The same weights in the chain: a mechanism changes none of them."""
    x_B = torch.randn(4, 5)
    at_depth = {"depth": 3, "width": 8}
    exits = seeded(dynamic(), answer(dynamic(), {**at_depth, "mechanism": "exits"}, partial=True))
    plain = seeded(chains(), answer(chains(), at_depth))
    plain.load_state_dict({**exits.chain.state_dict(), **exits.heads["3"].state_dict(prefix="head.")})
    torch.testing.assert_close(exits(x_B), plain(x_B))
    gated = seeded(dynamic(), answer(dynamic(), {**at_depth, "mechanism": "gates"}, partial=True))
    plain.load_state_dict(gated.chain.state_dict())
    torch.testing.assert_close(gated.walk(x_B, torch.ones_like)[0], plain(x_B))
    policed = seeded(dynamic(), answer(dynamic(), {**at_depth, "mechanism": "policy"}, partial=True))
    plain.load_state_dict(policed.chain.state_dict())
    torch.testing.assert_close(policed(x_B), plain(x_B))  # as it is built, a policy keeps everything


def test_they_are_trained_as_architectures():
    space = dynamic()
    for point in enumerate_space(space):
        network = space.build(point)
        mechanism = point.form.get("mechanism", {"name": STATIC})["name"]
        assert isinstance(network, HasObjective) is (mechanism != STATIC)
        assert isinstance(network, Staged) is (mechanism in ("gates", "policy"))
        assert not isinstance(network, Supernet)


@pytest.mark.parametrize("family", ["transformer", "cell"])
def test_any_family_of_chains_can_be_dynamic(family):
    space = dynamic({"family": family, "depth": [2, 3], "width": 8}, (1, 8, 8))
    for seed in range(6):
        network = space.build(sample(space, np.random.default_rng(seed))).eval()
        assert network(torch.randn(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mechanism": ["static", "drops"]}, "mechanism: must be among static, exits, gates, policy, got 'drops'"),
        ({"mechanism": []}, r"mechanism: must be one option, or a list of distinct ones, got \[\]"),
        ({"chain": {"family": "dynamic"}}, "chain.family: unknown space 'dynamic'"),
        ({"chain": {"family": "mlp"}}, r"chain.depth: is required"),
        ({"chain": {**MLP, "num_classes": 2}}, r"chain.num_classes: is set by the task"),
        ({"exits": {"spacing": [0, 1]}}, "exits.spacing: must be at least 1, got 0"),
        ({"exits": {"distillation": [0, 1.5]}}, "exits.distillation.1: must be at most 1"),
        ({"exits": {"distance": 1}}, "exits.distance: is not a known field; allowed: spacing, distillation, teachers"),
        ({"gates": {"gate": ["recurrent", "ff1"]}}, r"gates.gate: ff1 needs hidden states that are images"),
        ({"policy": {"policy_depth": [1, -1]}}, "policy.policy_depth.1: must be at least 0, got -1"),
        ({"gates": {"alpha": [0.1, 0.1]}}, "gates.alpha: must be one option, or a list of distinct ones"),
    ],
)
def test_what_cannot_be_searched_is_refused(fields, message):
    with pytest.raises(InvalidInput, match=message):
        dynamic(**fields)


def test_options_of_a_mechanism_that_is_not_there_are_not_checked_against_the_chain():
    dynamic(mechanism=["static", "exits"], gates={"gate": "ff1"})


def test_a_chain_has_one_stage():
    stages = [{"depth": 1, "width": 4}, {"depth": 1, "width": 8}]
    with pytest.raises(InvalidInput, match=r"chain.stages: must have one stage, got 2"):
        dynamic({"family": "resnet", "stages": stages}, (1, 8, 8))
