"""SkipNet: gradients by hand and by exact enumeration of all policies, the hard policy, and what is read of it."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.dynamic.gates import OPEN
from search_spaces.dynamic.hard_gates import gumbel, hard, hybrid_loss, log_probability, straight_through
from search_spaces.dynamic.skipping import compacted, executed_flops, given, masked, walk
from search_spaces.errors import InvalidInput
from search_spaces.flops import count_flops, level_flops
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.gated_network import Stage
from search_spaces.relaxations.relaxation import Growing, HasObjective, Staged, TrainingStage
from tests.search_spaces.scaling import scaling
from workers.recipes.stages import Timetable

PLAIN, SUPERVISED, REINFORCED, SETTLED = Stage
BLOCKS, BATCH, ALPHA = 3, 5, 0.7


def per_example(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def skipnet(space, **fields):
    torch.manual_seed(0)
    network = make_relaxation({"name": "skipnet", "alpha": ALPHA, **fields}).supernet(space)
    assert isinstance(network, Supernet)
    assert isinstance(network, HasObjective)
    assert isinstance(network, Staged)
    return network


def mlp(*, depth=None, **fields):
    return make_space(
        {"family": "mlp", "depth": depth or {"min": 1, "max": BLOCKS}, "width": 6, "ops": ["residual"], **fields},
        input_shape=(4,),
        num_classes=3,
    )


def batch():
    x_B = torch.randn(BATCH, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x_B, torch.arange(BATCH) % 3


def spread(network):
    """Scores that differ between inputs, some of them on either side of zero."""
    with torch.no_grad():
        network.gates.score.bias.sub_(OPEN)
        for parameter in network.gates.parameters():
            parameter.mul_(4)
    return network


def test_a_fresh_network_executes_everything():
    network = skipnet(mlp()).double()
    _, _, g_BN = network.walk(batch()[0], hard)
    assert g_BN.mean() == 1


def constant_scores(network, *scores):
    """Gates of the network, whose hidden states are numbers, that say these scores whatever they see."""

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.s_N = nn.Parameter(torch.tensor(scores, dtype=torch.float64))

        def forward(self, place, h_B, memory):
            return self.s_N[place].expand(len(h_B)), None

    network.gates = Constant()
    return network


def chance(score):
    return 1 / (1 + math.exp(-score))


def test_hard_gates_execute_from_one_half_on():
    assert hard(torch.tensor([-1.0, -1e-6, 0.0, 2.0])).tolist() == [0, 0, 1, 1]


def test_straight_through_is_hard_forward_and_soft_backward():
    scores = torch.tensor([-1.5, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    gates = straight_through(scores)
    assert gates.tolist() == [0.0, 1.0, 1.0]
    (gates * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    expected = [weight * chance(s) * (1 - chance(s)) for weight, s in zip([1, 2, 3], scores.tolist(), strict=True)]
    assert scores.grad.tolist() == pytest.approx(expected)


def test_gumbel_gates_are_drawn_with_their_probability():
    torch.manual_seed(0)
    scores = torch.tensor([-2.0, 0.0, 1.0], dtype=torch.float64).repeat(20_000, 1).requires_grad_()
    gates = gumbel(scores)
    assert set(gates.unique().tolist()) == {0.0, 1.0}
    assert gates.mean(dim=0).tolist() == pytest.approx([chance(-2), chance(0), chance(1)], abs=0.015)
    gates.sum().backward()
    assert ((scores.grad > 0) & (scores.grad <= 0.25)).all()


def test_rewards_by_hand():
    """Two gates, alpha = 0.6: each skipped block is worth 0.3. A loss of 2; beta = 0.5 halves it in the rewards."""
    loss = torch.tensor([2.0, 2.0], dtype=torch.float64, requires_grad=True)
    log_p = torch.tensor([[-0.5, -0.1], [-0.5, -0.1]], dtype=torch.float64, requires_grad=True)
    gates = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    objective = hybrid_loss(loss, log_p, gates, alpha=0.6, beta=0.5)
    assert objective.tolist() == pytest.approx([2 - 0.6, 2 - 0.3])
    objective.sum().backward()
    assert loss.grad.tolist() == [1.0, 1.0]
    assert log_p.grad[0].tolist() == pytest.approx([1 - 0.3 - 0.3, 1 - 0.3])  # -r_1 and -r_2
    assert log_p.grad[1].tolist() == pytest.approx([1 - 0.3, 1 - 0.3])


def test_log_probabilities_by_hand():
    scores = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
    expected = [math.log(chance(0.3)), math.log(1 - chance(-2.0))]
    assert log_probability(scores, torch.tensor([[1.0, 0.0]], dtype=torch.float64))[0].tolist() == pytest.approx(
        expected
    )


@pytest.mark.parametrize("tied", [False, True])
def test_the_policy_gradient_is_that_of_the_expectation_over_all_policies(tied):
    """J and its gradient by enumeration of all 2^N policies, against the mean over policies of what one draw says.

    The scores of a gate depend on what the gates before it decided, through the hidden state and the LSTM.
    """
    network = spread(skipnet(mlp(tied=tied)).double()).eval()
    x_B, y_B = batch()
    parameters = list(network.parameters())
    exact = torch.zeros((), dtype=torch.float64)
    estimates = [torch.zeros_like(parameter) for parameter in parameters]
    for policy in itertools.product([0.0, 1.0], repeat=BLOCKS):
        for x, y in zip(x_B, y_B, strict=True):
            gates = iter(torch.tensor(policy, dtype=torch.float64))
            y_BK, s_BN, g_BN = network.walk(x.unsqueeze(0), lambda s_B, gates=gates: next(gates).expand(len(s_B)))
            assert g_BN.tolist() == [list(policy)]
            loss_B = per_example(y_BK, y.unsqueeze(0))
            factors = [s.sigmoid() if g else 1 - s.sigmoid() for s, g in zip(s_BN[0], policy, strict=True)]
            probability = math.prod(factors)
            exact = exact + probability * (loss_B[0] - ALPHA / BLOCKS * policy.count(0.0)) / BATCH
            drawn = torch.autograd.grad(
                network.hybrid_objective(loss_B, s_BN, g_BN), parameters, retain_graph=True, materialize_grads=True
            )
            for estimate, gradient in zip(estimates, drawn, strict=True):
                estimate += probability.item() * gradient / BATCH
    for parameter, estimate, gradient in zip(
        parameters, estimates, torch.autograd.grad(exact, parameters), strict=True
    ):
        assert gradient.abs().max() > 1e-6, parameter.shape
        torch.testing.assert_close(estimate, gradient, rtol=1e-8, atol=1e-12)


def test_the_second_stage_draws_its_gates():
    """Doubling blocks and the plain value as loss: E[y] = x (1 + S_1) (1 + S_2), savings alpha / 2 sum (1 - S_i)."""
    torch.manual_seed(0)
    network = constant_scores(skipnet(scaling(depth=[1, 2], ops=["double"])), 0.5, -1.0)
    network.begin_stage(REINFORCED)
    x_B = torch.full((40_000, 1), 3.0, dtype=torch.float64)
    objective = network.objective(x_B, torch.zeros(len(x_B)), lambda y_B1, _: y_B1[:, 0])
    one, two = chance(0.5), chance(-1.0)
    assert objective.item() == pytest.approx(3 * (1 + one) * (1 + two) - ALPHA / 2 * (2 - one - two), abs=0.06)
    objective.backward()
    gradient = [
        one * (1 - one) * (3 * (1 + two) + ALPHA / 2),
        two * (1 - two) * (3 * (1 + one) + ALPHA / 2),
    ]
    assert network.gates.s_N.grad.tolist() == pytest.approx(gradient, abs=0.1)


@pytest.mark.parametrize(
    ("gate", "gates", "slopes"),
    [
        ("straight_through", (1.0, 0.0), (chance(0.5) * (1 - chance(0.5)), chance(-1) * (1 - chance(-1)))),
        ("soft", (chance(0.5), chance(-1)), (chance(0.5) * (1 - chance(0.5)), chance(-1) * (1 - chance(-1)))),
    ],
)
def test_the_supervised_stage_by_hand(gate, gates, slopes):
    """Doubling blocks: y = x (1 + g_1) (1 + g_2), so dy/dg_1 = x (1 + g_2)."""
    network = constant_scores(skipnet(scaling(depth=[1, 2], ops=["double"]), supervised_gate=gate), 0.5, -1.0)
    x_B = torch.tensor([[3.0], [1.0]], dtype=torch.float64)
    objective = network.objective(x_B, torch.zeros(2), lambda y_B1, _: y_B1[:, 0])
    assert objective.item() == pytest.approx(2 * (1 + gates[0]) * (1 + gates[1]))
    objective.backward()
    expected = [2 * (1 + gates[1]) * slopes[0], 2 * (1 + gates[0]) * slopes[1]]
    assert network.gates.s_N.grad.tolist() == pytest.approx(expected)


def test_gumbel_gates_are_paid_for_skipping_while_supervised():
    network = constant_scores(skipnet(scaling(depth=[1, 2], ops=["double"]), supervised_gate="gumbel"), -99.0, -99.0)
    objective = network.objective(torch.ones(4, 1, dtype=torch.float64), torch.zeros(4), lambda y_B1, _: y_B1[:, 0])
    assert objective.item() == pytest.approx(1 - ALPHA)


def test_stages_follow_the_shares():
    network = skipnet(
        mlp(), plain_share=0.25, supervised_share=0.25, settled_share=0.125, reinforcement_learning_rate=0.3
    )
    assert network.stages() == (
        TrainingStage(begins=0.0),
        TrainingStage(begins=0.25),
        TrainingStage(begins=0.5, learning_rate=0.3),
        TrainingStage(begins=0.875, learning_rate=0.3),
    )


def test_gates_learn_at_a_rate_of_their_own():
    options = make_relaxation({"name": "skipnet", "gate_learning_rate": 0.3}).recipe_options()
    assert options == {"architecture_learning_rate_factor": 0.3}


def test_without_a_plain_share_the_first_stage_has_gates():
    assert Timetable.of(skipnet(mlp(), supervised_share=0.6), num_steps=10).stage_at(0) == SUPERVISED
    assert Timetable.of(skipnet(mlp(), supervised_share=0.0), num_steps=10).stage_at(0) == REINFORCED


def test_a_plain_stage_trains_the_chain_alone_and_costs_no_gates():
    network = skipnet(mlp()).double()
    assert isinstance(network, Growing)
    x_B, y_B = batch()
    sizes, flops = [], []
    for stage in Stage:
        network.begin_stage(stage)
        sizes.append(network.size())
        flops.append(count_flops(lambda: network.objective(x_B, y_B, per_example).backward()))
    assert sizes[1] == sizes[2]
    assert len(set(sizes)) == 3
    assert flops[0] < flops[3] < flops[1] == flops[2]
    network.zero_grad()
    network.begin_stage(PLAIN)
    objective = network.objective(x_B, y_B, per_example)
    torch.testing.assert_close(objective, per_example(network.chain(x_B), y_B).mean())
    objective.backward()
    assert all(parameter.grad is None for parameter in network.gates.parameters())
    network.grow_fully()
    assert network.size() == sizes[1]


def test_refuses_shares_of_more_than_a_whole():
    with pytest.raises(InvalidInput, match="at most 1 with plain_share and settled_share") as caught:
        make_relaxation({"name": "skipnet", "plain_share": 0.2, "supervised_share": 0.7, "settled_share": 0.2})
    assert caught.value.field == "supervised_share"
    make_relaxation({"name": "skipnet", "plain_share": 0.1, "supervised_share": 0.2, "settled_share": 0.7})


def test_a_settled_stage_trains_the_chain_under_the_policy_that_is_used():
    network = spread(skipnet(mlp()).double())
    x_B, y_B = batch()
    network.begin_stage(SETTLED)
    _, _, g_BN = network.walk(x_B, hard)
    objective = network.objective(x_B, y_B, per_example)
    under_it_BK, _ = walk(network.chain, x_B, given(g_BN), blocks=network.blocks, step=masked)
    torch.testing.assert_close(objective, per_example(under_it_BK, y_B).mean())
    objective.backward()
    assert all(parameter.grad is None for parameter in network.gates.parameters())
    assert network.chain.head.weight.grad.abs().max() > 0


@pytest.mark.parametrize("stage", [SUPERVISED, REINFORCED])
@pytest.mark.parametrize("gate", ["straight_through", "soft", "gumbel"])
def test_both_stages_move_every_parameter(stage, gate):
    network = spread(skipnet(mlp(), supervised_gate=gate))
    x_B, y_B = 3 * torch.randn(64, 4), torch.arange(64) % 3
    assert (network.walk(x_B, hard)[2].sum(dim=0) > 0).all()  # else a block has no gradient straight through
    network.begin_stage(stage)
    network.objective(x_B, y_B, per_example).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("gate", ["straight_through", "soft"])
def test_answers_are_those_of_the_hard_policy_without_what_it_skips(gate):
    network = spread(skipnet(mlp(), supervised_gate=gate).double()).eval()
    x_B, _ = batch()
    with torch.no_grad():
        y_BK = network(x_B)
        _, s_BN, g_BN = network.walk(x_B, hard)
        assert 0 < g_BN.mean() < 1
        assert torch.equal(g_BN, (s_BN.sigmoid() >= 0.5).double())
        skipping, _, _ = network.walk(x_B, hard, step=compacted)
    torch.testing.assert_close(skipping, y_BK, rtol=0, atol=1e-12)


@torch.no_grad()
def test_a_compacted_pass_costs_its_gates_and_what_they_let_pass():
    """Width 6: the gates map 6 to 10, then 10 + 10 to the four gates of the LSTM, then 10 to 1."""
    network = spread(skipnet(mlp())).eval()
    x_B = batch()[0].float()
    _, _, g_BN = network.walk(x_B, hard)
    block, gate = 2 * (2 * 6 * 6), 2 * (6 * 10 + 4 * 10 * 20 + 10)
    levels = level_flops(network.chain, (4,))
    assert levels == (2 * 4 * 6, *[block] * BLOCKS, 2 * 6 * 3)
    counted = count_flops(lambda: network.walk(x_B, hard, step=compacted))
    assert counted == executed_flops(levels, network.blocks, g_BN).sum() + BATCH * BLOCKS * gate
    assert counted < count_flops(lambda: network(x_B))


def test_the_profile_is_what_the_last_validation_pass_executed():
    class Gates(nn.Module):
        """Nothing passes the first, what is positive passes the second, everything the third."""

        def forward(self, place, h_B1, memory):
            return (-torch.ones(len(h_B1)), h_B1[:, 0], torch.ones(len(h_B1)))[place], None

    network = skipnet(scaling(depth=[1, 2, 3], ops=["double"]))
    network.gates = Gates()
    x_B1 = torch.tensor([[1.0], [-1.0], [2.0], [3.0]])
    for _ in range(2):  # the second pass forgets the first
        network.eval()
        assert network(x_B1[:3]).flatten().tolist() == [4.0, -2.0, 8.0]
        network(x_B1[3:])
        network.train()
    network(x_B1[1:2])  # training is not counted
    assert network.profile() == (1.0, 0.0, 0.75, 1.0)
    assert [one.depth for one in network.derive({})] == [2, 1, 3]  # 1.75 blocks


def test_a_block_that_changes_the_shape_has_no_gate():
    space = make_space(
        {"family": "resnet", "stages": [{"depth": [1, 3], "width": 4, "stride": 2}]},
        input_shape=(1, 8, 8),
        num_classes=3,
    )
    network = skipnet(space).eval()
    assert network.blocks == (2, 3)
    with torch.no_grad():
        network(torch.randn(2, 1, 8, 8))
    assert network.profile()[:2] == (1.0, 1.0)


def test_what_was_executed_is_part_of_the_state():
    network = spread(skipnet(mlp())).eval()
    network(batch()[0].float())
    other = skipnet(mlp())
    other.load_state_dict(network.state_dict())
    assert other.profile() == network.profile()


def test_a_derived_chain_may_go_on_from_the_supernet():
    space = mlp()
    network = skipnet(space)
    heir = space.build(network.derive({})[0])
    blocks = tuple(range(1, len(heir.blocks) + 1))
    heir.load_state_dict(inherit(heir.state_dict(), network.state_dict(), Inheritance(blocks=blocks)))
    x_B = batch()[0].float()
    torch.testing.assert_close(heir(x_B), network.chain.head(network.chain.hidden_states(x_B)[len(blocks)]))


@pytest.mark.parametrize("stage", [SUPERVISED, REINFORCED])
@pytest.mark.parametrize(
    ("options", "gate"),
    [
        ({"family": "transformer", "width": 8, "heads": 2, "tied": True}, "recurrent"),
        ({"family": "resnet", "width": 4}, "recurrent"),
        ({"family": "resnet", "width": 4}, "ff1"),
        ({"family": "cell", "width": 4, "ops": ["nor_conv_1x1"]}, "ff2"),
    ],
)
def test_states_of_every_shape_can_be_gated(options, gate, stage):
    space = make_space({**options, "depth": [1, 3]}, input_shape=(1, 8, 8), num_classes=3)
    network = skipnet(space, gate=gate)
    network.begin_stage(stage)
    network.objective(torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]), per_example).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.gates.parameters())


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"gate": "rnn"}, "gate"), ({"supervised_share": 1.1}, "supervised_share"), ({"alpha": -1}, "alpha")],
)
def test_refuses_options_out_of_range(fields, field):
    with pytest.raises(InvalidInput) as caught:
        make_relaxation({"name": "skipnet", **fields})
    assert caught.value.field == field


@pytest.mark.parametrize(("side", "gate", "smallest"), [(1, "ff1", "2x2"), (1, "ff2", None), (2, "ff1", None)])
def test_feed_forward_gates_need_images_that_they_can_pool(side, gate, smallest):
    space = make_space(
        {"family": "resnet", "stages": [{"depth": [1, 2], "width": 4}]}, input_shape=(1, side, side), num_classes=3
    )
    relaxation = make_relaxation({"name": "skipnet", "gate": gate})
    if smallest is None:
        relaxation.check(space)
        return
    with pytest.raises(InvalidInput, match=rf"images of at least {smallest}, got \[4, 1, 1\]") as caught:
        relaxation.check(space)
    assert caught.value.field == "gate"


def test_feed_forward_gates_refuse_what_is_no_image():
    with pytest.raises(InvalidInput, match=r"ff2 needs hidden states that are images of at least 1x1, got \[6\]"):
        make_relaxation({"name": "skipnet", "gate": "ff2"}).check(mlp())


def test_refuses_texts_whose_ends_would_tell_their_beginnings():
    options = {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2}
    space = make_space(options, input_shape=(5,), num_classes=7, num_tokens=7)
    with pytest.raises(InvalidInput, match="a language model would see what comes next"):
        make_relaxation({"name": "skipnet"}).check(space)


def test_refuses_spaces_with_more_or_less_than_a_depth():
    relaxation = make_relaxation({"name": "skipnet"})
    with pytest.raises(InvalidInput, match=r"skipnet needs two depths of at least 1 to choose from, got \[3\]"):
        relaxation.check(mlp(depth=[0, 3]))
    with pytest.raises(InvalidInput, match="skipnet learns depth only"):
        relaxation.check(mlp(ops=["dense", "residual"]))
