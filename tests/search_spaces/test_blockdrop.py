"""BlockDrop: rewards by hand, gradients by enumeration of all policies, the curriculum, and what is dropped."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.dynamic.dropping import bounded, entropy, num_controlled, policy_loss, reward
from search_spaces.dynamic.gates import OPEN
from search_spaces.dynamic.policy_network import policy_network
from search_spaces.dynamic.skipping import compacted
from search_spaces.errors import InvalidInput
from search_spaces.flops import inference_flops
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.chains import deepest
from search_spaces.relaxations.policed_network import Stage
from search_spaces.relaxations.relaxation import Annealed, Growing, HasObjective, Staged, TrainingStage
from tests.search_spaces.scaling import scaling

PLAIN, POLICY, JOINT = Stage
BLOCKS, BATCH = 4, 5


def per_example(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def blockdrop(space, **fields):
    torch.manual_seed(0)
    network = make_relaxation({"name": "blockdrop", **fields}).supernet(space)
    for protocol in (Supernet, HasObjective, Annealed, Staged, Growing):
        assert isinstance(network, protocol)
    return network


def mlp(**fields):
    options = {"family": "mlp", "depth": {"min": 1, "max": BLOCKS}, "width": 6, "ops": ["residual"], **fields}
    return make_space(options, input_shape=(4,), num_classes=3)


def resnet(**fields):
    options = {"family": "resnet", "depth": [1, BLOCKS], "width": 4, **fields}
    return make_space(options, input_shape=(1, 8, 8), num_classes=3)


def doubling(num_blocks, **fields):
    """Over a chain whose blocks double and whose stem and head do nothing."""
    depths = list(range(1, num_blocks + 1))
    network = blockdrop(mlp(depth=depths), **fields)
    space = scaling(depth=depths, ops=["double"])
    network.chain = space.build(deepest(space))
    return network


def batch(num=BATCH):
    x_B = torch.randn(num, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x_B, torch.arange(num) % 3


def spread(network):
    """Policies that differ between inputs."""
    with torch.no_grad():
        for parameter in network.policy.parameters():
            parameter.copy_(2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    return network


def constant_scores(network, *scores):
    """A policy network that says these whatever it sees."""

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.s_N = nn.Parameter(torch.tensor(scores, dtype=torch.float64))

        def forward(self, x_B):
            return self.s_N.expand(len(x_B), -1)

    network.policy = Constant()
    return network


def test_rewards_by_hand():
    """All of four blocks kept: nothing saved; two: 1 - 1/4; one: 1 - 1/16; a wrong answer costs gamma."""
    u_BN = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.float64)
    is_right_B = torch.tensor([True, True, True, True, False])
    assert reward(u_BN, is_right_B, 5.0).tolist() == [0.0, 0.75, 0.9375, 1.0, -5.0]


def test_bounds_by_hand():
    s_BN = torch.tensor([[0.0, 0.25, 0.5, 1.0]], dtype=torch.float64)
    assert bounded(s_BN, 0.8)[0].tolist() == pytest.approx([0.2, 0.35, 0.5, 0.8])
    assert bounded(s_BN, 1.0).equal(s_BN)


def test_entropies_by_hand():
    """Log-odds of 1/2, of 1/4, and of what no probability can tell from 0 and 1, which have a slope all the same."""
    score_BN = torch.tensor([[0.0, -math.log(3), -1e3, 1e3]], dtype=torch.float64, requires_grad=True)
    quarter = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    entropy_BN = entropy(score_BN)
    assert entropy_BN[0].tolist() == pytest.approx([math.log(2), quarter, 0.0, 0.0])
    entropy_BN.sum().backward()  # dH/ds = -s p (1 - p)
    assert score_BN.grad[0].tolist() == pytest.approx([0.0, math.log(3) * 0.25 * 0.75, 0.0, 0.0])


@pytest.mark.parametrize(
    ("done", "expected"), [(-0.1, 1), (0.0, 1), (0.24, 1), (0.25, 2), (0.5, 3), (0.75, 4), (1.0, 4), (9.0, 4)]
)
def test_blocks_come_under_control_one_by_one(done, expected):
    assert num_controlled(done, 4) == expected


@pytest.mark.parametrize("controlled", [(1, 1, 1, 1), (0, 0, 1, 1)])
def test_the_policy_gradient_is_that_of_the_expected_reward(controlled):
    """E[R] and its gradient by enumeration of all policies, against the mean over policies of what one draw says.

    The rewards are those of the network's own answers; the baseline is the reward of the more probable policy.
    """
    network = spread(blockdrop(mlp()).double()).eval()
    controlled_N = torch.tensor(controlled, dtype=torch.float64)
    x_B, y_B = batch()
    parameters = list(network.policy.parameters())
    p_BN = bounded(network.scores(x_B).sigmoid(), 0.8)

    def rewarded(u_BN):
        with torch.no_grad():
            return reward(u_BN, network.run(x_B, u_BN).argmax(dim=1) == y_B, 2.0)

    def kept(u_BN):
        return torch.where(controlled_N.bool(), u_BN, torch.ones_like(u_BN))

    baseline_B = rewarded(kept((p_BN.detach() >= 0.5).double()))
    exact = torch.zeros((), dtype=torch.float64)
    estimates = [torch.zeros_like(parameter) for parameter in parameters]
    for free in itertools.product([0.0, 1.0], repeat=sum(controlled)):
        u_BN = torch.tensor([1.0] * (BLOCKS - len(free)) + list(free), dtype=torch.float64).expand(BATCH, -1)
        chances_BN = torch.where(u_BN == 1, p_BN, 1 - p_BN)
        chance_B = torch.where(controlled_N.bool(), chances_BN, torch.ones_like(chances_BN)).prod(dim=1)
        exact = exact - (chance_B * rewarded(u_BN)).sum()
        loss_B = policy_loss(p_BN, u_BN, rewarded(u_BN) - baseline_B, controlled_N)
        assert loss_B.tolist() == [0.0] * BATCH
        drawn = torch.autograd.grad((chance_B.detach() * loss_B).sum(), parameters, retain_graph=True)
        for estimate, gradient in zip(estimates, drawn, strict=True):
            estimate += gradient
    for parameter, estimate, gradient in zip(
        parameters, estimates, torch.autograd.grad(exact, parameters), strict=True
    ):
        assert gradient.abs().max() > 1e-6, parameter.shape
        torch.testing.assert_close(estimate, gradient, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("stage", "penalty"), [(POLICY, 2.0), (JOINT, 7.0)])
def test_the_objective_draws_bounded_policies(stage, penalty):
    """Doubling blocks, of which the second alone decides whether the answer, the greater class, is right.

    Keep probabilities 0.8 s + 0.2 (1 - s). The loss is a constant, so that only rewards are left: with one of both
    blocks kept 3/4, with none 1, with both 0; a wrong answer costs gamma.
    """
    network = constant_scores(
        doubling(2, policy_penalty=2.0, joint_penalty=7.0, entropy_weight=0.0),
        0.5,
        -1.0,
    )
    network.begin_stage(stage)
    network.controlled_N.fill_(1)
    network.run = lambda x_B, u_BN: F.one_hot(u_BN[:, 1].long(), 2) * x_B  # right, class 1, where the second is kept
    x_B, y_B = torch.ones(200_000, 1, dtype=torch.float64), torch.ones(200_000, dtype=torch.int64)
    objective = network.objective(x_B, y_B, lambda y_BK, _: y_BK.sum(dim=1) * 0)
    one, two = (0.8 / (1 + math.exp(-s)) + 0.2 / (1 + math.exp(s)) for s in (0.5, -1.0))
    expected = two * (one * 0.0 + (1 - one) * 0.75) - (1 - two) * penalty
    assert objective.item() == pytest.approx(-expected, abs=0.03)
    objective.backward()
    slopes = [0.6 * chance * (1 - chance) for chance in (1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(1.0)))]
    by_one, by_two = -two * 0.75, (1 - one) * 0.75 + penalty
    assert network.policy.s_N.grad.tolist() == pytest.approx([-by_one * slopes[0], -by_two * slopes[1]], abs=0.05)


def test_the_bonus_for_entropy_is_paid_while_the_policy_is_alone():
    def objective(stage, weight):
        network = constant_scores(doubling(2, entropy_weight=weight), 0.5, -1.0)
        network.begin_stage(stage)
        network.controlled_N.fill_(1)
        torch.manual_seed(0)
        x_B = torch.ones(6, 1, dtype=torch.float64)
        return network.objective(x_B, torch.zeros(6, dtype=torch.int64), lambda y_BK, _: y_BK[:, 0]).item()

    of_both = entropy(torch.tensor([0.5, -1.0], dtype=torch.float64)).sum().item()
    assert objective(POLICY, 0.0) - objective(POLICY, 0.3) == pytest.approx(0.3 * of_both)
    assert objective(JOINT, 0.0) == objective(JOINT, 0.3)


def test_stages_follow_the_shares():
    network = blockdrop(mlp(), plain_share=0.4, policy_share=0.2, joint_learning_rate=0.1)
    assert network.stages() == (
        TrainingStage(begins=0.0),
        TrainingStage(begins=0.4),
        TrainingStage(begins=pytest.approx(0.6), learning_rate=0.1),
    )


def test_the_policy_learns_at_a_rate_of_its_own():
    options = make_relaxation({"name": "blockdrop", "policy_learning_rate": 0.3}).recipe_options()
    assert options == {"architecture_learning_rate_factor": 0.3}


def test_the_curriculum_goes_from_the_last_block_to_all():
    """A policy stage from 0.2 to 0.6 of the trial, whose first half is the curriculum: one block more every 0.05."""
    network = blockdrop(mlp(), plain_share=0.2, policy_share=0.4, curriculum_share=0.5)
    network.begin_stage(PLAIN)
    network.anneal(0.1)
    assert network.controlled_N.tolist() == [0, 0, 0, 0]
    network.begin_stage(POLICY)
    seen = []
    for progress in (0.21, 0.26, 0.31, 0.36, 0.5):
        network.anneal(progress)
        seen.append(network.controlled_N.tolist())
    assert seen == [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    network.begin_stage(JOINT)
    assert network.controlled_N.tolist() == [1, 1, 1, 1]


def test_blocks_out_of_control_are_kept():
    network = constant_scores(doubling(3), -9.0, -9.0, -9.0).eval()
    x_B1 = torch.tensor([[3.0]], dtype=torch.float64)
    network.begin_stage(PLAIN)
    assert network(x_B1).item() == 24.0
    network.begin_stage(POLICY)
    assert network(x_B1).item() == 12.0
    network.begin_stage(JOINT)
    assert network(x_B1).item() == 3.0


@pytest.mark.parametrize("chain_learns", ["drawn", "used"])
@pytest.mark.parametrize(("stage", "moved"), [(PLAIN, "chain"), (POLICY, "policy"), (JOINT, "chain, policy")])
def test_a_stage_moves_what_it_trains_and_nothing_else(stage, moved, chain_learns):
    network = spread(blockdrop(resnet(), chain_learns=chain_learns))
    network.train()
    network.begin_stage(stage)
    network.controlled_N.fill_(1)
    buffers = {name: value.clone() for name, value in network.chain.named_buffers()}
    network.objective(torch.randn(32, 1, 8, 8), torch.arange(32) % 3, per_example).backward()
    for part in ("chain", "policy"):
        for name, parameter in getattr(network, part).named_parameters():
            assert (parameter.grad is not None) == (part in moved), name
    touched = any(not torch.equal(value, buffers[name]) for name, value in network.chain.named_buffers())
    assert touched == ("chain" in moved)


@pytest.mark.parametrize("chain_learns", ["drawn", "used"])
def test_the_chain_learns_under_the_policies_that_were_asked_for(chain_learns):
    """Its gradient is that of the loss under them, whose draw is repeated; the reward has none for the chain."""
    network = spread(blockdrop(mlp(), chain_learns=chain_learns).double())
    x_B, y_B = batch(40)
    network.begin_stage(JOINT)
    s_BN = network.scores(x_B).detach()
    torch.manual_seed(5)
    policies = {"drawn": torch.bernoulli(bounded(s_BN.sigmoid(), 0.8)), "used": (s_BN >= 0).double()}
    assert not torch.equal(*policies.values())
    parameters = list(network.chain.parameters())
    expected = torch.autograd.grad(per_example(network.run(x_B, policies[chain_learns]), y_B).mean(), parameters)
    torch.manual_seed(5)
    found = torch.autograd.grad(network.objective(x_B, y_B, per_example), parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert network.chain.training


@pytest.mark.parametrize("kept", ["none", "all", "some"])
def test_a_compacted_pass_answers_like_a_masked_one(kept):
    network = blockdrop(resnet()).eval()
    x_B = torch.randn(7, 1, 8, 8)
    u_BN = {
        "none": torch.zeros(7, BLOCKS),
        "all": torch.ones(7, BLOCKS),
        "some": (torch.rand(7, BLOCKS, generator=torch.Generator().manual_seed(0)) < 0.5).float(),
    }[kept]
    with torch.no_grad():
        masked_BK = network.run(x_B, u_BN)
        torch.testing.assert_close(network.run(x_B, u_BN, step=compacted), masked_BK, rtol=0, atol=1e-5)
        plain_BK = {"all": network.chain(x_B), "none": network.chain.head(network.chain.stem(x_B))}.get(kept)
        if plain_BK is not None:
            torch.testing.assert_close(masked_BK, plain_BK, rtol=0, atol=1e-5)


def test_a_policy_network_costs_what_a_hand_counts():
    """Images of 8x8, halved to 4x4: a stem 1 to 4, a block of two 4 to 4, all 3x3, and a head from 4 to 3 blocks.

    Vectors of 4: a stem to 6, a block of two 6 to 6, and a head from 6 to 3.
    """
    policy = policy_network(resnet(), num_blocks=3, depth=1)
    by_hand = 2 * 16 * 9 * (1 * 4 + 2 * 4 * 4) + 2 * 4 * 3
    assert inference_flops(policy, (1, 8, 8)) == by_hand
    vectors = policy_network(mlp(), num_blocks=3, depth=1)
    assert inference_flops(vectors, (4,)) == 2 * (4 * 6) + 2 * (2 * 6 * 6) + 2 * (6 * 3)


def test_the_first_decisions_are_to_keep_all_for_sure_of_none():
    network = blockdrop(resnet()).eval()
    with torch.no_grad():
        assert network.scores(torch.randn(3, 1, 8, 8)).unique().tolist() == [OPEN]
        assert network.decide(torch.zeros(3, BLOCKS)).tolist() == [[1.0] * BLOCKS] * 3


def test_a_policy_tells_apart_what_differs_by_little():
    """Features that are 100 and a thousandth for all inputs: the linear layer sees how they differ, and not the 100."""
    network = blockdrop(mlp())
    standardize = network.policy[1].head.double()[0][0]
    features_BD = 100 + 1e-3 * torch.randn(64, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen_BD = standardize(features_BD)
    assert seen_BD.mean(dim=0).abs().max() < 1e-6
    assert seen_BD.std(dim=0).min() > 0.2  # variance 1e-6, beside an epsilon of 1e-5


def test_the_profile_and_policies_of_the_last_validation_pass():
    class Policy(nn.Module):
        """Drops the first block of all, and keeps the second of what is positive."""

        def forward(self, x_B1):
            return torch.cat([-torch.ones_like(x_B1), x_B1, torch.ones_like(x_B1)], dim=1)

    network = doubling(3)
    network.policy = Policy()
    x_B1 = torch.tensor([[1.0], [-1.0], [2.0], [3.0]])
    for _ in range(2):  # the second pass forgets the first
        network.eval()
        assert network(x_B1[:3]).flatten().tolist() == [4.0, -2.0, 8.0]
        network(x_B1[3:])
        network.train()
    assert network.profile() == (1.0, 0.0, 0.75, 1.0)
    assert network.num_policies() == 2
    assert network.policies()[:, 1].tolist() == [True, False, True, True]
    assert [one.depth for one in network.derive({})] == [2, 1, 3]


def test_refuses_shares_of_more_than_a_whole():
    with pytest.raises(InvalidInput, match="at most 1 together with plain_share") as caught:
        make_relaxation({"name": "blockdrop", "plain_share": 0.7, "policy_share": 0.4})
    assert caught.value.field == "policy_share"


@pytest.mark.parametrize(("fields", "field"), [({"alpha": 0.4}, "alpha"), ({"joint_penalty": -1}, "joint_penalty")])
def test_refuses_options_out_of_range(fields, field):
    with pytest.raises(InvalidInput) as caught:
        make_relaxation({"name": "blockdrop", **fields})
    assert caught.value.field == field


def test_refuses_texts_whose_ends_would_tell_their_beginnings():
    options = {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2}
    space = make_space(options, input_shape=(5,), num_classes=7, num_tokens=7)
    with pytest.raises(InvalidInput, match="a language model would see what comes next"):
        make_relaxation({"name": "blockdrop"}).check(space)
