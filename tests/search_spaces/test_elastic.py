"""Elastic depth: what a step trains, by hand."""

import pytest
import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.errors import InvalidInput
from search_spaces.readings import LEVEL_ACCURACY, LEVEL_DOUBT, LEVEL_LOSS
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.distillation import distillation
from search_spaces.relaxations.relaxation import Drawing, HasObjective, Probed, Supernet
from tests.search_spaces.scaling import scaling

SPACE = make_space({"family": "mlp", "depth": {"min": 1, "max": 6}, "width": 4}, input_shape=(3,), num_classes=5)
X, Y = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 5


def elastic(space=SPACE, **options):
    torch.manual_seed(0)
    network = make_relaxation({"name": "elastic", **options}).supernet(space)
    for protocol in (Supernet, HasObjective, Drawing, Probed):
        assert isinstance(network, protocol)
    return network


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def by_level(network):
    """Logits of every level, one prefix at a time."""
    logits = {}
    for depth in network.depths:
        h = network.chain.stem(X)
        for block in list(network.chain.blocks)[:depth]:
            h = block(h)
        logits[depth] = network.heads[str(depth)](h) if len(network.heads) else network.chain.head(h)
    return logits


@pytest.mark.parametrize("heads", ["own", "shared"])
def test_all_depths_are_trained_alike(heads):
    network = elastic(heads=heads)
    losses = [F.cross_entropy(y, Y) for y in by_level(network).values()]
    assert len(losses) == 6
    torch.testing.assert_close(network.objective(X, Y, criterion), sum(losses) / 6)
    assert network.profile() == pytest.approx((0, *[1 / 6] * 6))


def test_a_sandwich_is_the_ends_and_some_between():
    network = elastic(sampling="sandwich", num_random=2)
    logits = by_level(network)
    torch.manual_seed(3)
    between = sorted((2 + torch.randperm(4)[:2]).tolist())
    torch.manual_seed(3)
    loss = network.objective(X, Y, criterion)
    torch.testing.assert_close(loss, sum(F.cross_entropy(logits[d], Y) for d in (1, *between, 6)) / 4)
    # four depths a step: the ends always, each of the four between in half of the steps
    assert network.profile() == pytest.approx((0, 1 / 4, *[1 / 8] * 4, 1 / 4))


def test_only_the_deepest_is_trained_if_asked():
    network = elastic(sampling="deepest")
    torch.testing.assert_close(network.objective(X, Y, criterion), F.cross_entropy(network(X), Y))
    assert network.profile() == (0, 0, 0, 0, 0, 0, 1)


def test_the_deepest_teaches_the_others_and_learns_nothing_from_them():
    network = elastic(depths=[2, 4], distillation=0.25, temperature=3.0)
    logits = by_level(network)
    teacher, student = (logits[4] / 3).softmax(1), (logits[2] / 3).softmax(1)
    divergence = (teacher * (teacher.log() - student.log())).sum(1).mean()
    taught = 0.75 * F.cross_entropy(logits[2], Y) + 0.25 * 9 * divergence
    torch.testing.assert_close(network.objective(X, Y, criterion), (taught + F.cross_entropy(logits[4], Y)) / 2)
    assert not distillation(logits[2].detach(), logits[4].detach(), 3.0).requires_grad
    (gradient,) = torch.autograd.grad(network.objective(X, Y, criterion), network.heads["4"].weight)
    (alone,) = torch.autograd.grad(F.cross_entropy(by_level(network)[4], Y) / 2, network.heads["4"].weight)
    torch.testing.assert_close(gradient, alone)


def test_blocks_are_left_out_as_often_as_they_should_be():
    network = elastic(drop_rate=0.6)
    torch.manual_seed(0)
    kept = torch.zeros(6)
    for _ in range(2000):
        count = network.draw()
        assert count == sum(network._kept)
        kept += torch.tensor(network._kept).float()
    # Huang et al., equation 4: survival 1 - l / L * (1 - p_L), here with p_L = 0.4; three standard errors
    expected = torch.tensor([1 - 0.6 * level / 6 for level in range(1, 7)])
    assert ((kept / 2000 - expected).abs() < 3 * 0.0112).all()
    network = elastic(drop_rate=0.6, drop_growth="constant")
    assert abs(sum(network.draw() for _ in range(2000)) / 2000 / 6 - 0.4) < 3 * 0.0112 / 6**0.5


def test_a_block_that_is_left_out_passes_on_its_input():
    network = elastic(scaling(depth=[1, 2, 3]), drop_rate=0.5)
    network._kept = [True, False, True]
    states = [h.item() for h in network._states_with_drops(torch.ones(1, 1))]
    assert states == [1, 2, 2, 4]
    assert [y.item() for y in network.probe(torch.ones(1, 1)).levels] == [1, 2, 4, 8]  # validation leaves nothing out


READINGS = {
    LEVEL_LOSS: (0.0, 0.7, 0.0, 0.5, 0.0, 0.5),
    LEVEL_ACCURACY: (1.0, 0.80, 1.0, 0.86, 1.0, 0.90),
    LEVEL_DOUBT: (0.0, 0.09, 0.0, 0.05, 0.0, 0.0),
}
"""Depth 5 is the best, but 3 is behind by 0.04 with a standard error of 0.05; 1 is behind by 0.10, with one of 0.09."""


@pytest.mark.parametrize(
    ("rank_by", "ranked"),
    [("level_loss", [3, 5, 1]), ("level_accuracy", [5, 3, 1]), ("one_standard_error", [3, 5, 1])],
)
def test_depths_are_ranked_by_what_they_do_on_validation_data(rank_by, ranked):
    derived = elastic(depths=[1, 3, 5], rank_by=rank_by).derive(READINGS)
    assert [one.depth for one in derived] == ranked


def test_in_doubt_the_geometric_middle_is_nearest_to_all():
    """All depths but the first may be the best; of 1 to 6, the geometric middle is 2.45."""
    readings = {
        LEVEL_LOSS: (0.0,) * 7,
        LEVEL_ACCURACY: (0.0, 0.5, 0.88, 0.88, 0.9, 0.89, 0.9),
        LEVEL_DOUBT: (0.0, 0.1, 0.03, 0.03, 0.0, 0.03, 0.01),
    }
    assert [elastic(in_doubt=choice).derive(readings)[0].depth for choice in ("shallowest", "middle")] == [2, 2]
    readings[LEVEL_DOUBT] = (0.0, 0.5, 0.01, 0.03, 0.0, 0.03, 0.01)
    assert [elastic(in_doubt=choice).derive(readings)[0].depth for choice in ("shallowest", "middle")] == [1, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": [2, 9]}, r"depths: must be among the space's depths \[1, 2, 3, 4, 5, 6\], got \[9\]"),
        ({"depths": [2]}, r"depths: must be at least two and distinct, got \[2\]"),
        ({"depths": [2, 2]}, r"depths: must be at least two and distinct, got \[2, 2\]"),
    ],
)
def test_depths_that_cannot_be_trained(options, message):
    with pytest.raises(InvalidInput, match=message):
        elastic(**options)


def test_only_depth_is_elastic():
    with pytest.raises(InvalidInput, match=r"elastic learns depth only: space.ops must be one"):
        elastic(scaling(depth=[1, 2], ops=["double", "triple"]))


def test_answers_at_every_position_are_distilled_alike():
    student_BTK, teacher_BTK = torch.randn(4, 3, 5), torch.randn(4, 3, 5)
    positions = [distillation(student_BTK[:, t], teacher_BTK[:, t], 2.0) for t in range(3)]
    torch.testing.assert_close(distillation(student_BTK, teacher_BTK, 2.0), torch.stack(positions).mean())
