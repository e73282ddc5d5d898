"""Halting: objectives, answers and readings of both rules, by enumeration."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.errors import InvalidInput
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.relaxation import HasObjective, Probed
from tests.search_spaces.scaling import scaling

RULES = pytest.mark.parametrize("rule", ["ponder", "act"])
LEVELS, BATCH = 4, 6
BETA, TAU = 0.05, 0.02


def per_example(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def halting(space, **fields):
    torch.manual_seed(0)
    network = make_relaxation({"name": "halting", "beta": BETA, "tau": TAU, **fields}).supernet(space)
    assert isinstance(network, Supernet)
    assert isinstance(network, HasObjective)
    assert isinstance(network, Probed)
    return network


def mlp(*, depth=None, **fields):
    return make_space(
        {"family": "mlp", "depth": depth or {"min": 1, "max": LEVELS}, "width": 8, "ops": ["residual"], **fields},
        input_shape=(5,),
        num_classes=3,
    )


def batch():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, 5, generator=generator, dtype=torch.float64)
    return x, torch.arange(BATCH) % 3


def example(network, index):
    """Of one example: lambda_n, the hidden states of levels 1..L, the label."""
    x, y = batch()
    states = network.chain.hidden_states(x[index : index + 1])[1:]
    units = network.units if len(network.units) > 1 else [network.units[0]] * (LEVELS - 1)
    lambdas = [torch.sigmoid(unit(h)).item() for unit, h in zip(units, states[:-1], strict=True)]
    return lambdas, states, y[index : index + 1]


def ponder_probabilities(lambdas):
    going = [math.prod(1 - stop for stop in lambdas[:n]) for n in range(LEVELS)]
    return [go * stop for go, stop in zip(going, [*lambdas, 1.0], strict=True)]


@pytest.mark.parametrize("tied", [False, True])
def test_the_objective_of_pondernet_is_an_expectation_over_levels(tied):
    network = halting(mlp(tied=tied), lambda_p=0.3).double()
    prior = [0.7**n * 0.3 / (1 - 0.7**LEVELS) for n in range(LEVELS)]
    total = 0.0
    for index in range(BATCH):
        lambdas, states, label = example(network, index)
        for p, g, h in zip(ponder_probabilities(lambdas), prior, states, strict=True):
            loss = -network.chain.head(h).log_softmax(dim=1)[0, label].item()
            total += p * loss + BETA * p * math.log(p / g)
    assert network.objective(*batch(), per_example).item() == pytest.approx(total / BATCH)


@pytest.mark.parametrize("tied", [False, True])
def test_pondernet_answers_with_the_mean_over_draws(tied):
    network = halting(mlp(tied=tied)).double()
    answers = network(batch()[0]).exp()
    for index in range(BATCH):
        lambdas, states, _ = example(network, index)
        terms = zip(ponder_probabilities(lambdas), states, strict=True)
        expected = sum(p * network.chain.head(h).softmax(dim=1)[0] for p, h in terms)
        torch.testing.assert_close(answers[index], expected)


@pytest.mark.parametrize("tied", [False, True])
def test_act_answers_on_the_mixture_of_states_and_pays_for_time(tied):
    network = halting(mlp(tied=tied), rule="act").double()
    for unit in network.units:  # large enough for early and late stops among the examples
        nn.init.normal_(unit.weight)
    answers, total, steps = network(batch()[0]), 0.0, set()
    for index in range(BATCH):
        lambdas, states, label = example(network, index)
        step = next((n for n in range(1, LEVELS) if sum(lambdas[:n]) >= 0.99), LEVELS)
        remainder = 1 - sum(lambdas[: step - 1])
        mixed = sum(p * h for p, h in zip([*lambdas[: step - 1], remainder], states[:step], strict=True))
        y = network.chain.head(mixed)
        torch.testing.assert_close(answers[index], y[0])
        total += -y.log_softmax(dim=1)[0, label].item() + TAU * (step + remainder)
        steps.add(step)
    assert network.objective(*batch(), per_example).item() == pytest.approx(total / BATCH)
    assert len(steps) > 1


@RULES
@pytest.mark.parametrize("tied", [False, True])
def test_the_objective_moves_every_parameter(rule, tied):
    network = halting(mlp(tied=tied), rule=rule)
    for unit in network.units:  # all levels are reached
        nn.init.constant_(unit.bias, -3.0)
    x, y = batch()
    network.objective(x.float(), y, per_example).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_tied_levels_share_their_unit_and_others_do_not():
    assert len(halting(mlp(tied=True)).units) == 1
    assert len(halting(mlp()).units) == LEVELS - 1
    with_units = sum(parameter.numel() for parameter in halting(mlp(tied=True)).parameters())
    assert with_units == sum(parameter.numel() for parameter in halting(mlp(tied=True)).chain.parameters()) + 9


@RULES
def test_the_probe_is_forward_and_each_level_alone(rule):
    network = halting(mlp(), rule=rule).double().eval()
    x, _ = batch()
    probe, states = network.probe(x), network.chain.hidden_states(x)
    torch.testing.assert_close(probe.logits, network(x))
    for level, h in enumerate(states):
        torch.testing.assert_close(probe.levels[level], network.chain.head(h))
        assert probe.sizes[level].item() == pytest.approx(h.square().mean().item())
    torch.testing.assert_close(probe.removals[0], probe.logits)


def test_removal_under_pondernet_keeps_the_ratios_of_the_others():
    network = halting(mlp()).double().eval()
    probe = network.probe(batch()[0])
    for index in range(BATCH):
        lambdas, states, _ = example(network, index)
        for removed in range(LEVELS):
            kept = [
                (p, h)
                for n, (p, h) in enumerate(zip(ponder_probabilities(lambdas), states, strict=True))
                if n != removed
            ]
            mixed = sum(p * network.chain.head(h).softmax(dim=1)[0] for p, h in kept) / sum(p for p, _ in kept)
            torch.testing.assert_close(probe.removals[removed + 1][index].exp(), mixed)


def test_removal_under_act_keeps_the_ratios_of_the_others():
    # Blocks double, so x, 2x, 4x are levels 1..3 of x / 2. Units give sigmoid(x) = 0.25 and sigmoid(2x) = 0.1.
    x = torch.tensor([[math.log(1 / 3)]], dtype=torch.float64)
    network = halting(scaling(depth=[1, 2, 3], ops=["double"]), rule="act").eval()
    probe = network.probe(x / 2)
    level, weights = x.item(), (0.25, 0.1, 0.65)
    assert probe.logits.item() == pytest.approx(level * (0.25 + 0.1 * 2 + 0.65 * 4))
    for removed in range(3):
        kept = [n for n in range(3) if n != removed]
        mixed = sum(weights[n] * level * 2**n for n in kept) / sum(weights[n] for n in kept)
        assert probe.removals[removed + 1].item() == pytest.approx(mixed)


def test_an_input_without_its_only_level_is_left_with_zeros():
    network = halting(scaling(depth=[1, 2, 3], ops=["double"]), rule="act").eval()
    probe = network.probe(torch.tensor([[10.0]]))
    assert [y.item() for y in probe.removals] == [20.0, 0.0, 20.0, 20.0]
    assert network.profile() == (0.0, 1.0, 0.0, 0.0)


def test_the_profile_is_where_inputs_of_the_last_pass_stopped():
    network = halting(mlp()).double()
    expected = torch.tensor([ponder_probabilities(example(network, i)[0]) for i in range(BATCH)]).mean(dim=0)
    x, _ = batch()
    for _ in range(2):  # the second pass forgets the first
        network.eval()
        network.probe(x[:4])
        network.probe(x[4:])
        network.train()
    assert network.profile() == pytest.approx((0.0, *expected.tolist()))
    assert network.mean_depth() == pytest.approx(sum(n * p for n, p in enumerate(expected.tolist(), start=1)))


@pytest.mark.parametrize(
    ("depth", "shares", "ranked"),
    [
        ([1, 2, 3, 4], [0.0, 0.5, 0.5, 0.0], [2, 3, 1, 4]),  # mean 2.5
        ([1, 2, 3, 4], [0.4, 0.0, 0.0, 0.6], [3, 2, 4, 1]),  # mean 2.8, where nothing stops
        ([0, 1, 4], [1.0, 0.0, 0.0, 0.0], [1, 4]),
    ],
)
def test_derives_the_allowed_depths_nearest_to_the_mean(depth, shares, ranked):
    network = halting(mlp(depth=depth))
    network.stopped_L.copy_(32 * torch.tensor(shares))
    assert [one.depth for one in network.derive({})] == ranked


@pytest.mark.parametrize("tied", [False, True])
def test_a_derived_chain_may_go_on_from_the_supernet(tied):
    space = mlp(tied=tied)
    network = halting(space)
    heir = space.build(network.derive({})[-1])
    blocks = tuple(range(1, len(heir.blocks) + 1))
    heir.load_state_dict(inherit(heir.state_dict(), network.state_dict(), Inheritance(blocks=blocks)))
    x = batch()[0].float()
    torch.testing.assert_close(heir(x), network.chain.head(network.chain.hidden_states(x)[len(blocks)]))


def test_derived_chains_of_a_tied_space_are_tied():
    derived = halting(mlp(depth=[2, 4], tied=True)).derive({})
    assert [one.form["stages"][0]["repeats"] for one in derived] == [2, 4]


@RULES
def test_what_stopped_is_part_of_the_state(rule):
    network = halting(mlp(), rule=rule)
    network.eval()
    network.probe(batch()[0].float())
    other = halting(mlp(), rule=rule)
    other.load_state_dict(network.state_dict())
    assert other.profile() == network.profile()
    assert sum(network.profile()) == pytest.approx(1)


@RULES
@pytest.mark.parametrize(
    "options",
    [
        {"family": "transformer", "width": 8, "heads": 2, "tied": True},
        {"family": "resnet", "width": 4},
        {"family": "cell", "width": 4, "ops": ["nor_conv_1x1"]},
    ],
)
def test_states_of_every_shape_can_halt(rule, options):
    space = make_space({**options, "depth": [1, 3]}, input_shape=(1, 8, 8), num_classes=3)
    network = halting(space, rule=rule)
    x = torch.randn(4, 1, 8, 8)
    network.objective(x, torch.tensor([0, 1, 2, 0]), per_example).backward()
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network.probe(x).logits, network(x), rtol=1e-4, atol=1e-4)
    assert sum(network.profile()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"lambda_p": 0}, "lambda_p"),
        ({"lambda_p": 1}, "lambda_p"),
        ({"rule": "rnn"}, "rule"),
        ({"epsilon": 0}, "epsilon"),
    ],
)
def test_refuses_options_out_of_range(fields, field):
    with pytest.raises(InvalidInput) as caught:
        make_relaxation({"name": "halting", **fields})
    assert caught.value.field == field


def test_refuses_texts_whose_ends_would_tell_their_beginnings():
    options = {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2}
    space = make_space(options, input_shape=(5,), num_classes=7, num_tokens=7)
    with pytest.raises(InvalidInput, match="a language model would see what comes next"):
        make_relaxation({"name": "halting"}).check(space)


def test_refuses_spaces_with_more_or_less_than_a_depth():
    relaxation = make_relaxation({"name": "halting"})
    with pytest.raises(InvalidInput, match=r"halting needs two depths of at least 1 to choose from, got \[3\]"):
        relaxation.check(mlp(depth=[0, 3]))
    with pytest.raises(InvalidInput, match="halting learns depth only"):
        relaxation.check(mlp(ops=["dense", "residual"], tied=True))
