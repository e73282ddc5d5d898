"""Evidence bounds against exact enumeration in float64, and the distributions over depth by hand."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.errors import InvalidInput
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.relaxations import Supernet, make_relaxation
from search_spaces.relaxations.evidence import PRIORS, log_prior
from search_spaces.relaxations.posteriors import TruncatedPoisson, truncation
from search_spaces.relaxations.relaxation import Annealed, Bayesian, Growing, HasObjective, Probed
from tests.search_spaces.scaling import scaling

NUM_TRAIN, NUM_CLASSES = 7, 3
IMPOSSIBLE = -1000.0
"""A logit whose softmax against ordinary ones is exactly zero in float64."""

BOTH = pytest.mark.parametrize("posterior", ["categorical", "poisson"])
BOTH_HEADS = pytest.mark.parametrize("heads", ["shared", "own"])


def mlp(depth):
    return make_space({"family": "mlp", "depth": depth, "width": 4}, input_shape=(2,), num_classes=NUM_CLASSES)


def supernet(depth, **fields):
    """In float64, with all examples in one batch."""
    torch.manual_seed(0)
    network = make_relaxation({"name": "depth_posterior", **fields}).supernet(mlp(depth)).double()
    network.begin(NUM_TRAIN)
    return network


def examples():
    generator = torch.Generator().manual_seed(1)
    x_B = torch.randn(NUM_TRAIN, 2, generator=generator, dtype=torch.float64)
    return x_B, torch.arange(NUM_TRAIN) % NUM_CLASSES


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def chain_of(network, depth):
    """An ordinary chain of that depth with the weights of the supernet."""
    space = network.space
    chain = space.build(answer(space, {"depth": depth})).double()
    inheritance = Inheritance(blocks=tuple(range(1, depth + 1)))
    chain.load_state_dict(inherit(chain.state_dict(), network.state_dict(), inheritance))
    return chain


@torch.no_grad()
def likelihoods(network):
    """`prod_n p(y_n | x_n, d)` of every depth, from ordinary chains, as plain numbers."""
    x_B, y_B = examples()
    answers = [chain_of(network, depth)(x_B).softmax(dim=1) for depth in network.depths]
    return [math.prod(p_BK[n, y_B[n]].item() for n in range(NUM_TRAIN)) for p_BK in answers]


def elbo(q, prior, likelihood):
    """`sum_d q_d (log p(y | d) + log p_d - log q_d)`."""
    return sum(
        a * (math.log(like) + math.log(p) - math.log(a)) for a, p, like in zip(q, prior, likelihood, strict=True)
    )


def softmax(logits):
    total = sum(math.exp(z) for z in logits)
    return [math.exp(z) / total for z in logits]


def objective(network):
    return network.objective(*examples(), criterion)


def set_logits(network, logits):
    with torch.no_grad():
        network.posterior.logits_D.copy_(torch.tensor(logits, dtype=torch.float64))


def set_nu(network, nu):
    with torch.no_grad():
        network.posterior.raw.fill_(math.log(math.expm1(nu)))
    network.constrain()


def test_implements_every_protocol_that_it_means_to():
    for protocol in (Supernet, HasObjective, Bayesian, Annealed, Growing, Probed):
        assert isinstance(supernet([1, 2]), protocol)


@pytest.mark.parametrize("prior", PRIORS)
@BOTH_HEADS
def test_the_bound_is_the_evidence_at_the_exact_posterior_and_below_it_elsewhere(prior, heads):
    network = supernet([0, 1, 2], prior=prior, heads=heads)
    prior_D = network.log_prior_D.exp().tolist()
    joint = [p * likelihood for p, likelihood in zip(prior_D, likelihoods(network), strict=True)]
    log_evidence = math.log(sum(joint))

    for logits in itertools.product((-2.0, 0.0, 1.5), repeat=3):
        set_logits(network, logits)
        assert -NUM_TRAIN * objective(network).item() <= log_evidence + 1e-12
    set_logits(network, [math.log(one) for one in joint])
    loss = objective(network)
    assert -NUM_TRAIN * loss.item() == pytest.approx(log_evidence, abs=1e-12)
    (gradient_D,) = torch.autograd.grad(loss, network.posterior.logits_D)
    torch.testing.assert_close(gradient_D, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-14)


def test_the_gradient_of_a_categorical_posterior_is_that_of_the_enumerated_bound():
    network, logits, step = supernet([0, 1, 2], prior="geometric", prior_mean=0.7), [0.3, -1.0, 0.8], 1e-5
    set_logits(network, logits)
    prior, likelihood = softmax([k * math.log(0.7 / 1.7) for k in range(3)]), likelihoods(network)
    loss = objective(network)
    assert loss.item() == pytest.approx(-elbo(softmax(logits), prior, likelihood) / NUM_TRAIN, abs=1e-6)
    (gradient_D,) = torch.autograd.grad(loss, network.posterior.logits_D)
    for index in range(3):
        up, down = ([z + sign * step * (i == index) for i, z in enumerate(logits)] for sign in (1, -1))
        slope = (elbo(softmax(up), prior, likelihood) - elbo(softmax(down), prior, likelihood)) / (2 * step)
        assert gradient_D[index].item() == pytest.approx(-slope / NUM_TRAIN, abs=1e-6)


@pytest.mark.parametrize(("nu", "in_use"), [(0.6, 3), (1.0, 4), (2.2, 6)])
def test_the_gradient_of_a_poisson_rate_is_that_of_the_enumerated_bound(nu, in_use):
    network, step = supernet({"min": 0, "max": 5}, posterior="poisson", prior_mean=0.5), 1e-5
    set_nu(network, nu)
    assert network.size() == in_use
    prior = [0.5**k / math.factorial(k) for k in range(6)]
    prior = [p / sum(prior) for p in prior][:in_use]
    likelihood = likelihoods(network)[:in_use]

    def bound(raw):
        """At the depths in use, whatever the rate."""
        rate = math.log1p(math.exp(raw))
        q = [rate**k / math.factorial(k) for k in range(in_use)]
        return elbo([a / sum(q) for a in q], prior, likelihood)

    raw, loss = network.posterior.raw.item(), objective(network)
    assert loss.item() == pytest.approx(-bound(raw) / NUM_TRAIN, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, network.posterior.raw)
    slope = (bound(raw + step) - bound(raw - step)) / (2 * step)
    assert gradient.item() == pytest.approx(-slope / NUM_TRAIN, abs=1e-6)


def test_the_marginal_bound_is_the_evidence_and_weighs_depths_by_their_posterior():
    network = supernet([0, 1, 2], bound="marginal", prior="poisson", heads="own")
    prior = [1 / 2.5, 1 / 2.5, 0.5 / 2.5]
    joint = [p * likelihood for p, likelihood in zip(prior, likelihoods(network), strict=True)]
    loss = objective(network)
    assert loss.item() == pytest.approx(-math.log(sum(joint)) / NUM_TRAIN, abs=1e-7)
    posterior = [one / sum(joint) for one in joint]
    assert network.profile() == pytest.approx(posterior, abs=1e-6)
    loss.backward()
    x_B, y_B = examples()
    for depth, share in enumerate(posterior):
        alone = chain_of(network, depth)
        criterion(alone(x_B), y_B).mean().backward()
        torch.testing.assert_close(
            network.heads[str(depth)].weight.grad, share * alone.head.weight.grad, rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize(
    ("kind", "mean", "expected"),
    [
        ("uniform", 0.5, [1 / 3, 1 / 3, 1 / 3]),
        ("geometric", 1.0, [4 / 7, 2 / 7, 1 / 7]),
        ("geometric", 0.5, [9 / 13, 3 / 13, 1 / 13]),
        ("poisson", 1.0, [0.4, 0.4, 0.2]),
        ("poisson", 0.5, [8 / 13, 4 / 13, 1 / 13]),
    ],
)
def test_priors(kind, mean, expected):
    assert log_prior(kind, mean, 3).exp().tolist() == pytest.approx(expected)


def test_a_poisson_posterior():
    # The CDF of rate 1 is .368, .736, .920, .981: four depths, in the proportions 1, 1, 1/2, 1/6.
    network = supernet({"min": 0, "max": 9}, posterior="poisson", initial_nu=1.0)
    assert network.size() == 4
    assert network.profile() == pytest.approx([3 / 8, 3 / 8, 3 / 16, 1 / 16])


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("nu", [0.001, 0.03, 0.4, 1.0, 1.5, 3.7, 8.0, 40.2])
def test_the_truncation_is_a_quantile_and_leaves_at_least_two(nu, quantile):
    expected = max(int(stats.poisson(nu).ppf(quantile)), math.floor(nu) + 1) + 1
    assert truncation(nu, quantile, 1000) == expected >= 2
    assert truncation(nu, quantile, 5) == min(expected, 5)


def test_a_rate_whose_probabilities_underflow_uses_all_depths():
    assert truncation(1000.0, 0.95, 12) == 12


def test_the_rate_stays_positive():
    posterior = TruncatedPoisson(4, initial_nu=1.0, quantile=0.95)
    with torch.no_grad():
        posterior.raw.fill_(-200.0)
    posterior.constrain()
    assert posterior.nu().item() == pytest.approx(1e-3)
    assert torch.isfinite(posterior.log_probs()).all()
    assert posterior.num_used == 2


@BOTH
@BOTH_HEADS
def test_answers_with_the_mixture_of_probabilities(posterior, heads):
    network = supernet([0, 1, 3], posterior=posterior, heads=heads)
    x_B, _ = examples()
    q = {depth: network.profile()[depth] for depth in network.depths}
    expected_BK = sum(share * chain_of(network, depth)(x_B).softmax(dim=1) for depth, share in q.items())
    torch.testing.assert_close(network(x_B).exp(), expected_BK)
    torch.testing.assert_close(network(x_B).softmax(dim=1), expected_BK)


def test_a_text_has_a_label_at_every_position():
    space = make_space(
        {"family": "transformer", "depth": [0, 1], "width": 4, "heads": 1},
        input_shape=(5,),
        num_classes=NUM_CLASSES,
        num_tokens=NUM_CLASSES,
    )
    torch.manual_seed(0)
    network = make_relaxation({"name": "depth_posterior"}).supernet(space).double()
    x_BT = torch.arange(20).reshape(4, 5) % NUM_CLASSES
    y_BT = (x_BT + 1) % NUM_CLASSES
    network.begin(y_BT.numel())

    def of_examples(y_BTK, y_BT):
        return F.cross_entropy(y_BTK.flatten(0, 1), y_BT.flatten(), reduction="none").reshape(4, 5).mean(dim=1)

    answers = [chain_of(network, depth)(x_BT).softmax(dim=-1) for depth in (0, 1)]
    torch.testing.assert_close(network(x_BT).exp(), (answers[0] + answers[1]) / 2)
    torch.testing.assert_close(network.probe(x_BT).removals[0].exp(), answers[1])
    likelihood = [p_BTK.gather(-1, y_BT.unsqueeze(-1)).prod().item() for p_BTK in answers]
    loss = network.objective(x_BT, y_BT, of_examples).item()
    assert loss == pytest.approx(-elbo([0.5, 0.5], [0.5, 0.5], likelihood) / 20, abs=1e-6)


@BOTH_HEADS
def test_probes_every_level_alone_and_every_mixture_without_one(heads):
    network = supernet([0, 1, 3], heads=heads)
    x_B, _ = examples()
    logits = [0.3, -1.0, 0.8]
    set_logits(network, logits)
    probe, states = network.probe(x_B), network.chain.hidden_states(x_B)
    torch.testing.assert_close(probe.logits, network(x_B))
    assert [len(part) for part in (probe.levels, probe.removals, probe.sizes)] == [4, 4, 4]
    torch.testing.assert_close(torch.stack(list(probe.sizes)), torch.stack([h.pow(2).mean() for h in states]))
    # Level 2 is no depth of the space: it is read by the head of depth 3, and its removal removes nothing.
    reader = network.heads["3"] if heads == "own" else network.chain.head
    torch.testing.assert_close(probe.levels[2], reader(states[2]))
    torch.testing.assert_close(probe.removals[2], network(x_B))
    for index, depth in enumerate(network.depths):
        torch.testing.assert_close(probe.levels[depth], chain_of(network, depth)(x_B))
        set_logits(network, [IMPOSSIBLE if i == index else z for i, z in enumerate(logits)])
        torch.testing.assert_close(probe.removals[depth], network(x_B))


def test_only_depths_in_use_are_read_and_trained():
    network = supernet({"min": 0, "max": 5}, posterior="poisson", initial_nu=0.6)
    x_B, _ = examples()
    assert network.size() == len(network.profile()) == len(network.probe(x_B).levels) == 3
    objective(network).backward()
    trained = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert {name.split(".")[2] for name in trained if name.startswith("chain.blocks.")} == {"0", "1"}
    assert {name.split(".")[1] for name in trained if name.startswith("heads.")} == {"0", "1", "2"}


def test_the_truncation_follows_the_rate_and_is_restored_with_it():
    network = supernet({"min": 0, "max": 9}, posterior="poisson")
    sizes = []
    for nu in (0.2, 1.0, 3.0, 0.5, 50.0):
        set_nu(network, nu)
        sizes.append(network.size())
        fresh = supernet({"min": 0, "max": 9}, posterior="poisson")
        fresh.load_state_dict(network.state_dict())
        assert fresh.size() == network.size()
    assert sizes == [2, 4, 7, 3, 10]


def test_grows_fully_and_stays_so():
    network = supernet({"min": 0, "max": 9}, posterior="poisson")
    network.grow_fully()
    network.constrain()
    assert network.size() == 10


@BOTH
def test_the_posterior_stays_as_it_is_during_the_warm_up(posterior):
    network = supernet([0, 1, 2], posterior=posterior, warmup=0.25)
    for progress, moves in ((0.0, False), (0.24, False), (0.25, True), (0.9, True)):
        network.anneal(progress)
        network.zero_grad()
        objective(network).backward()
        assert [parameter.grad is not None for parameter in network.architecture_parameters()] == [moves]


@pytest.mark.parametrize(
    ("fields", "factor"),
    [({}, 1.0), ({"posterior": "poisson"}, 0.1), ({"posterior": "poisson", "learning_rate_factor": 2.0}, 2.0)],
)
def test_a_rate_learns_at_a_tenth_of_the_speed(fields, factor):
    options = make_relaxation({"name": "depth_posterior", **fields}).recipe_options()
    assert options == {"architecture_learning_rate_factor": factor}


def test_derives_depths_by_their_probability():
    network = supernet([8, 1, 2, 4])  # in the space's order
    set_logits(network, [0.0, 2.0, 0.0, 1.0])  # depths 1, 2, 4, 8
    assert [one.depth for one in network.derive({})] == [2, 8, 1, 4]
    assert dict(network.derive({})[0].decisions) == {"depth": 2}


def test_derives_depths_that_are_not_in_use_last():
    network = supernet([1, 2, 4, 6, 8], posterior="poisson", initial_nu=1.2, quantile=0.8)
    # 1, 1.2 and .72: the truncation ends at the third.
    assert [one.depth for one in network.derive({})] == [2, 1, 4, 6, 8]


def test_a_depth_is_a_level_of_the_space():
    network = make_relaxation({"name": "depth_posterior"}).supernet(scaling(depth=[1, 3], ops=["double"]))
    # Levels 1 and 3 of x -> 2 x are 2 and 8, with one class: every answer has probability 1.
    assert network.profile() == pytest.approx((0, 0.5, 0, 0.5))
    probe = network.probe(torch.ones(1, 1))
    assert [level.item() for level in probe.levels] == [1, 2, 4, 8]
    assert [size.item() for size in probe.sizes] == [1, 4, 16, 64]
    assert network(torch.ones(1, 1)).item() == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"posterior": "poisson", "bound": "marginal"}, "bound"),
        ({"posterior": "gamma"}, "posterior"),
        ({"prior": "flat"}, "prior"),
        ({"initial_nu": 0}, "initial_nu"),
        ({"warmup": 1.0}, "warmup"),
        ({"depth": 3}, "depth"),
    ],
)
def test_refuses_options_out_of_range(fields, field):
    with pytest.raises(InvalidInput) as caught:
        make_relaxation({"name": "depth_posterior", **fields}).check(mlp([1, 2]))
    assert caught.value.field == field


def test_refuses_a_single_depth():
    with pytest.raises(InvalidInput, match=r"depth_posterior needs two depths to choose from, got \[3\]"):
        make_relaxation({"name": "depth_posterior"}).check(mlp([3]))
