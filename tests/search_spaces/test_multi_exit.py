"""Multi-exit networks: what a step trains and how the temperature grows, by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.errors import InvalidInput
from search_spaces.inheritance import Inheritance, inherit
from search_spaces.readings import LEVEL_ACCURACY
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.chains import architecture_of
from search_spaces.relaxations.distillation import distillation
from search_spaces.relaxations.relaxation import UNLABELLED, HasObjective, Probed, SemiSupervised, Supernet
from tests.search_spaces.examples import make_example
from tests.search_spaces.scaling import scaling

SPACE = make_space({"family": "mlp", "depth": {"min": 1, "max": 5}, "width": 6}, input_shape=(3,), num_classes=4)
X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(7) % 4


def multi_exit(space=SPACE, **options):
    torch.manual_seed(0)
    network = make_relaxation({"name": "multi_exit", **options}).supernet(space).double()
    for protocol in (Supernet, HasObjective, Probed, SemiSupervised):
        assert isinstance(network, protocol)
    return network


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def by_exit(network):
    """Logits of every exit, each computed by itself."""
    logits = []
    for depth in network.depths:
        h = network.chain.stem(X)
        for block in list(network.chain.blocks)[:depth]:
            h = block(h)
        logits.append(network.heads[str(depth)](h))
    return logits


def soft_cross_entropy(student, teacher, tau):
    """`tau^2 CE(teacher, student)`, example by example and class by class."""
    total = 0.0
    for s, t in zip(student, teacher.detach(), strict=True):
        p, q = torch.exp(t / tau), torch.exp(s / tau)
        p, q = p / p.sum(), q / q.sum()
        total = total - sum(p[k] * torch.log(q[k]) for k in range(4))
    return tau**2 * total / len(student)


def soft_entropy(teacher, tau):
    return soft_cross_entropy(teacher.detach(), teacher, tau)


@pytest.mark.parametrize(("weights", "shares"), [((), (1 / 3, 1 / 3, 1 / 3)), ((1, 2, 5), (1 / 8, 2 / 8, 5 / 8))])
def test_without_teachers_the_loss_is_the_weighted_mean_of_the_exits(weights, shares):
    network = multi_exit(exits=[1, 2, 4], weights=weights, distillation=0)
    expected = sum(share * F.cross_entropy(y, Y) for share, y in zip(shares, by_exit(network), strict=True))
    torch.testing.assert_close(network.objective(X, Y, criterion), expected)
    assert network.profile() == pytest.approx((0, shares[0], shares[1], 0, shares[2]))
    assert network.temperature == 1


@pytest.mark.parametrize("teachers", ["last", "later"])
def test_exits_learn_from_labels_and_from_later_exits(teachers):
    """Phuong & Lampert, up to the entropy of the teachers, which no weight moves: value and gradient."""
    network, tau = multi_exit(exits=[1, 3, 5], teachers=teachers, distillation=0.3, temperature=2.0), 2.0
    y1, y2, y3 = by_exit(network)
    teachers_of_1 = [y3] if teachers == "last" else [y2, y3]
    first = sum(soft_cross_entropy(y1, teacher, tau) for teacher in teachers_of_1) / len(teachers_of_1)
    entropy = sum(soft_entropy(teacher, tau) for teacher in teachers_of_1) / len(teachers_of_1)
    second = soft_cross_entropy(y2, y3, tau)
    paper = (
        0.7 * F.cross_entropy(y1, Y)
        + 0.3 * first
        + 0.7 * F.cross_entropy(y2, Y)
        + 0.3 * second
        + F.cross_entropy(y3, Y)
    ) / 3
    ours = network.objective(X, Y, criterion)
    torch.testing.assert_close(ours, paper - 0.3 * (entropy + soft_entropy(y3, tau)) / 3)
    parameters = list(network.parameters())
    for one, other in zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(paper, parameters), strict=True):
        torch.testing.assert_close(one, other)


def test_inputs_without_a_label_join_the_distillation_alone():
    """CE is the mean of the first four inputs, distillation that of all seven; the loss and its gradient."""
    network = multi_exit(exits=[1, 3, 5], distillation=0.3, temperature=2.0)
    y = Y.where(torch.arange(7) < 4, UNLABELLED)
    y1, y2, y3 = by_exit(network)
    from_labels = [F.cross_entropy(logits[:4], Y[:4]) for logits in (y1, y2, y3)]
    taught = [soft_cross_entropy(student, y3, 2.0) - soft_entropy(y3, 2.0) for student in (y1, y2)]
    expected = (0.7 * from_labels[0] + 0.3 * taught[0] + 0.7 * from_labels[1] + 0.3 * taught[1] + from_labels[2]) / 3
    loss = network.objective(X, y, criterion)
    torch.testing.assert_close(loss, expected)
    parameters = list(network.parameters())
    for one, other in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_an_input_without_a_label_by_hand():
    """Two exits, two classes, tau 1: a labelled input that both answer by (0, 0), and one by (0, 0) and (ln 3, 0).

    Labels cost ln 2 at each exit; KL((3/4, 1/4) || (1/2, 1/2)) = 3/4 ln 3 - ln 2, halved by the mean over inputs.
    """
    network = multi_exit(exits=[1, 2], distillation=0.25)
    early = torch.zeros(2, 2, dtype=torch.float64)
    late = torch.tensor([[0, 0], [math.log(3), 0]], dtype=torch.float64)
    loss = network.loss_of_exits([early, late], torch.tensor([1, UNLABELLED]), criterion)
    taught = (0.75 * math.log(3) - math.log(2)) / 2
    assert loss.item() == pytest.approx((0.75 * math.log(2) + 0.25 * taught + math.log(2)) / 2)


def test_what_no_exit_teaches_learns_nothing_from_inputs_without_a_label():
    """All after the last but one exit."""
    y = Y.where(torch.arange(7) < 4, UNLABELLED)
    network = multi_exit(exits=[1, 3, 5], distillation=0.5)
    untaught = [*network.chain.blocks[3:].parameters(), *network.heads["5"].parameters()]
    taught = [
        *network.chain.blocks[:3].parameters(),
        *network.heads["1"].parameters(),
        *network.heads["3"].parameters(),
    ]
    joined, alone = network.objective(X, y, criterion), network.objective(X[:4], Y[:4], criterion)
    for part, is_same in ((untaught, True), (taught, False)):
        gradients = (torch.autograd.grad(loss, part, retain_graph=True) for loss in (joined, alone))
        for one, other in zip(*gradients, strict=True):
            assert torch.allclose(one, other, rtol=1e-12, atol=1e-15) == is_same


@pytest.mark.parametrize(
    ("options", "joining"), [({}, 6), ({"unlabelled": 2.5}, 15), ({"unlabelled": 0}, 0), ({"distillation": 0}, 0)]
)
def test_how_many_inputs_without_a_label_join_six_others(options, joining):
    assert multi_exit(**options).num_unlabelled(6) == joining


def test_a_teacher_learns_nothing_from_its_pupils():
    network = multi_exit(exits=[2, 4], temperature=3.0)
    (gradient,) = torch.autograd.grad(network.objective(X, Y, criterion), network.heads["4"].weight)
    (alone,) = torch.autograd.grad(F.cross_entropy(by_exit(network)[1], Y) / 2, network.heads["4"].weight)
    torch.testing.assert_close(gradient, alone)


def test_with_one_teacher_at_a_fixed_temperature_it_is_elastic_distillation():
    network = multi_exit(exits=[1, 2, 5], distillation=0.5, temperature=3.0, temperature_growth=1.0)
    torch.manual_seed(0)
    options = {"depths": [1, 2, 5], "distillation": 0.5, "temperature": 3.0}
    elastic = make_relaxation({"name": "elastic", **options}).supernet(SPACE).double()
    elastic.load_state_dict({name: value for name, value in network.state_dict().items() if name != "temperature"})
    torch.testing.assert_close(network.objective(X, Y, criterion), elastic.objective(X, Y, criterion))


def test_the_temperature_grows_until_the_last_exit_is_unsure():
    """Logits 2, 0 at the last exit have probability 1 / (1 + e^(-2 / tau)): above 0.8 for tau < 2 / ln 4 = 1.4427.

    1.05^7 = 1.4071 is below that and 1.05^8 = 1.4775 is not.
    """
    pair = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    network = multi_exit(scaling(depth=[0, 1]), sure_above=0.8)  # each level doubles its input
    for _ in range(7):
        network.objective(pair, torch.zeros(1, dtype=torch.int64), criterion)
    assert network.temperature.item() == pytest.approx(1.05**7, rel=1e-6)
    for _ in range(5):
        network.objective(pair, torch.zeros(1, dtype=torch.int64), criterion)
    assert network.temperature.item() == pytest.approx(1.05**8, rel=1e-6)
    assert network.state_dict()["temperature"] == network.temperature  # a resumed training goes on from there


def test_a_step_is_taught_at_the_temperature_that_it_began_with():
    network = multi_exit(exits=[1, 5], distillation=1.0, sure_above=0.0, temperature=2.0)
    y1, y2 = by_exit(network)
    expected = (distillation(y1, y2.detach(), 2.0) + F.cross_entropy(y2, Y)) / 2
    (wanted,) = torch.autograd.grad(expected, network.heads["1"].weight)
    loss = network.objective(X, Y, criterion)
    assert network.temperature.item() == pytest.approx(2.1)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, network.heads["1"].weight)[0], wanted)


def test_levels_are_read_by_the_next_exit():
    network = multi_exit(exits=[2, 4])
    states, probe = network.chain.hidden_states(X), network.probe(X)
    for level, exit_ in enumerate([2, 2, 2, 4, 4]):
        torch.testing.assert_close(probe.levels[level], network.heads[str(exit_)](states[level]))
    torch.testing.assert_close(probe.logits, network(X))
    for one, other in zip(network.exit_logits(X), by_exit(network), strict=True):
        torch.testing.assert_close(one, other)


def test_depths_are_ranked_by_the_accuracy_of_their_exits():
    derived = multi_exit(exits=[1, 2, 4]).derive({LEVEL_ACCURACY: (0.9, 0.7, 0.8, 1.0, 0.8)})
    assert [one.depth for one in derived] == [2, 4, 1]


def test_a_derived_network_starts_from_its_exit():
    network = multi_exit(exits=[2, 4]).float()
    heir = SPACE.build(architecture_of(SPACE, 2))
    heir.load_state_dict(inherit(heir.state_dict(), network.state_dict(), Inheritance.prefix(2)))
    torch.testing.assert_close(heir(X.float()), network.exit_logits(X.float())[0])


def test_a_language_model_is_taught_at_every_position():
    text = {"input_shape": (5,), "num_classes": 6, "num_tokens": 6}
    options = {"family": "transformer", "depth": [0, 1, 2], "width": 8, "heads": 2}
    network = multi_exit(make_example({**text, "options": options}), distillation=1.0)
    x_BT = torch.randint(6, (3, 5), generator=torch.Generator().manual_seed(0))
    first, second, last = network.exit_logits(x_BT)

    def per_example(y_BTK, y_BT):
        return F.cross_entropy(y_BTK.flatten(0, 1), y_BT.flatten(), reduction="none").reshape(3, 5).mean(dim=1)

    terms = [
        (last[b, t].softmax(0) * (last[b, t].log_softmax(0) - y[b, t].log_softmax(0))).sum()
        for y in (first, second)
        for b in range(3)
        for t in range(5)
    ]
    expected = (sum(terms) / 15 + per_example(last, x_BT).mean()) / 3
    torch.testing.assert_close(network.objective(x_BT, x_BT, per_example), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exits": [2, 9]}, r"exits: must be among the space's depths \[1, 2, 3, 4, 5\], got \[9\]"),
        ({"exits": [2]}, r"exits: must be at least two, ascending, got \[2\]"),
        ({"exits": [3, 2]}, r"exits: must be at least two, ascending, got \[3, 2\]"),
        ({"exits": [2, 3], "weights": [1.0]}, r"weights: must be one per exit, 2, got 1"),
        ({"weights": [1.0, 2.0]}, r"weights: must be one per exit, 5, got 2"),
        ({"exits": [2, 3], "weights": [1.0, 0.0]}, r"weights"),
    ],
)
def test_exits_that_cannot_be_trained(options, message):
    with pytest.raises(InvalidInput, match=message):
        multi_exit(**options)


def test_only_the_depth_is_open():
    with pytest.raises(InvalidInput, match=r"multi_exit learns depth only: space.ops must be one"):
        multi_exit(scaling(depth=[1, 2], ops=["double", "triple"]))
