"""Similarity of early and final features, input by input in float64."""

import math

import pytest
import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.experimental.similar_exits import SimilarExits, dissimilarity
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.relaxation import UNLABELLED

SPACE = make_space({"family": "mlp", "depth": {"min": 1, "max": 4}, "width": 6}, input_shape=(3,), num_classes=4)
IMAGES = make_space({"family": "resnet", "depth": [1, 2], "width": 4}, input_shape=(1, 4, 4), num_classes=3)
X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(7) % 4


def similar(space=SPACE, *, is_trained=True, **options):
    """As it is built, or with branches that do something."""
    torch.manual_seed(0)
    network = SimilarExits(**options).supernet(space).double()
    if is_trained:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
    return network


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def angle(z_D, t_D):
    """`2 - 2 cos`, number by number."""
    dot = sum(float(z) * float(t) for z, t in zip(z_D.detach(), t_D.detach(), strict=True))
    lengths = [math.sqrt(sum(float(v) ** 2 for v in vector)) for vector in (z_D.detach(), t_D.detach())]
    return 2 - 2 * dot / (lengths[0] * lengths[1])


def test_dissimilarity_by_hand():
    """Right angle 2, half of it 2 - sqrt 2; the same direction 0, the opposite 4."""
    target = torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    one = torch.tensor([[0.0, 5.0], [1.0, 1.0]], dtype=torch.float64)
    other = torch.tensor([[7.0, 0.0], [0.0, -2.0]], dtype=torch.float64)
    assert dissimilarity([one], target).item() == pytest.approx((2 + 2 - math.sqrt(2)) / 2)
    assert dissimilarity([one, other], target).item() == pytest.approx((4 - math.sqrt(2) + 0 + 4) / 4)


def test_images_are_averaged_over_positions():
    """One input, two channels of 1x2 pixels: means (1, 1) against (0, 3)."""
    z, target = torch.tensor([[[[0.0, 2.0]], [[3.0, -1.0]]]]), torch.tensor([[[[1.0, -1.0]], [[2.0, 4.0]]]])
    assert dissimilarity([z], target).item() == pytest.approx(2 - math.sqrt(2))


@pytest.mark.parametrize("moves_trunk", [False, True])
def test_it_comes_beside_the_losses_of_the_exits(moves_trunk):
    network = similar(exits=[1, 3, 4], distillation=0.0, similarity=0.7, moves_trunk=moves_trunk)
    h = network.chain.hidden_states(X)
    z1, z3 = (h[depth] + network.heads[str(depth)].branch.body(h[depth]) for depth in (1, 3))
    logits = [network.heads["1"].classifier(z1), network.heads["3"].classifier(z3), network.heads["4"](h[4])]
    apart = [angle(z[n], h[4][n]) for z in (z1, z3) for n in range(7)]
    expected = sum(F.cross_entropy(y, Y).item() for y in logits) / 3 + 0.7 * sum(apart) / 14
    assert network.objective(X, Y, criterion).item() == pytest.approx(expected, rel=1e-12)
    for one, other in zip(network.exit_logits(X), logits, strict=True):
        torch.testing.assert_close(one, other)


def gradients(network, weight):
    network.similarity = weight
    loss = network.objective(X, Y, criterion)
    names, parameters = zip(*network.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


@pytest.mark.parametrize("moves_trunk", [False, True])
def test_similarity_moves_branches_and_the_chain_only_if_it_should(moves_trunk):
    network = similar(exits=[1, 2, 4], moves_trunk=moves_trunk)
    with_, without = gradients(network, 1.0), gradients(network, 0.0)
    moved = {name for name, gradient in with_.items() if not torch.allclose(gradient, without[name], atol=1e-12)}
    branches = {name for name in with_ if ".branch." in name}
    trunk = {name for name in with_ if name.startswith(("chain.stem", "chain.blocks.0", "chain.blocks.1"))}
    assert moved == (branches | trunk if moves_trunk else branches)


def test_as_it_is_built_a_branch_does_nothing():
    torch.manual_seed(0)
    plain = make_relaxation({"name": "multi_exit", "exits": [1, 4]}).supernet(SPACE).double()
    network = similar(is_trained=False, exits=[1, 4])
    network.chain.load_state_dict(plain.chain.state_dict())
    network.heads["1"].classifier.load_state_dict(plain.heads["1"].state_dict())
    torch.testing.assert_close(network.exit_logits(X)[0], plain.exit_logits(X)[0])


def test_inputs_without_a_label_are_made_similar():
    network = similar(exits=[2, 4], distillation=0.5)
    y = Y.where(torch.arange(7) < 4, UNLABELLED)
    weight, network.similarity = network.similarity, 0.0
    without = network.objective(X, y, criterion)
    network.similarity = weight
    h = network.chain.hidden_states(X)
    z = network.heads["2"].branch(h[2])
    apart = sum(angle(z[n], h[4][n]) for n in range(7)) / 7
    assert (network.objective(X, y, criterion) - without).item() == pytest.approx(apart)


@pytest.mark.parametrize(
    ("options", "joining"),
    [({"distillation": 0}, 6), ({"similarity": 0}, 6), ({"distillation": 0, "similarity": 0}, 0)],
)
def test_inputs_without_a_label_join_what_needs_none(options, joining):
    assert similar(**options).num_unlabelled(6) == joining


def test_branches_of_images_are_convolutions_of_single_pixels():
    network = similar(IMAGES)
    x = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    network.eval()
    branch = network.heads["1"].branch
    h = network.chain.hidden_states(x)[1]
    alone = branch(h[:, :, 2:3, 1:2])
    torch.testing.assert_close(branch(h)[:, :, 2:3, 1:2], alone)
    assert network(x).shape == (2, 3)
