"""Twins that attend to later exits, number by number."""

import math

import pytest
import torch
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.errors import InvalidInput
from search_spaces.experimental.attentive_exits import AttentiveExits, Twin
from search_spaces.flops import inference_flops
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.distillation import distillation
from tests.search_spaces.examples import make_example

SPACE = make_space({"family": "mlp", "depth": {"min": 1, "max": 4}, "width": 6}, input_shape=(3,), num_classes=4)
X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(7) % 4


def attentive(**options):
    torch.manual_seed(0)
    return AttentiveExits(**options).supernet(SPACE).double()


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def test_attention_by_hand():
    """Two features, identities for Q, K and V: scores 4 and 0 over sqrt 2, so that weights are as e^(2 sqrt 2) to 1."""
    twin = Twin(2, 2).double()
    for linear in (twin.query, twin.key, twin.value, twin.classifier):
        torch.nn.init.eye_(linear.weight)
    torch.nn.init.zeros_(twin.classifier.bias)
    own = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    later = torch.tensor([[[2.0, 1.0], [0.0, 5.0]]], dtype=torch.float64)
    first = 1 / (1 + math.exp(-4 / math.sqrt(2)))
    told = [2 * first, first + 5 * (1 - first)]
    assert twin.attend(own, later)[0].tolist() == pytest.approx(told)
    assert twin(own, later)[0].tolist() == pytest.approx([2 + told[0], told[1]])


def test_attention_to_a_single_exit_is_all_attention():
    twin = Twin(3, 2)
    own, later = torch.randn(5, 3), torch.randn(5, 1, 3)
    torch.testing.assert_close(twin.attend(own, later), later[:, 0] @ twin.value.weight.T)


def test_exits_learn_from_labels_and_from_twins_and_twins_from_labels():
    network = attentive(exits=[1, 3, 4], distillation=0.3, temperature=2.0)
    h = network.chain.hidden_states(X)
    y1, y3, y4 = (network.heads[str(depth)](h[depth]) for depth in (1, 3, 4))
    t1 = network.twins["1"](h[1].detach(), torch.stack([h[3], h[4]], dim=1).detach())
    t3 = network.twins["3"](h[3].detach(), h[4].detach().unsqueeze(1))
    early = [0.7 * F.cross_entropy(y, Y) + 0.3 * distillation(y, t.detach(), 2.0) for y, t in ((y1, t1), (y3, t3))]
    of_twins = (F.cross_entropy(t1, Y) + F.cross_entropy(t3, Y)) / 2
    expected = (sum(early) + F.cross_entropy(y4, Y)) / 3 + of_twins
    loss = network.objective(X, Y, criterion)
    torch.testing.assert_close(loss, expected)
    parameters = list(network.parameters())
    for one, other in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_twins_move_nothing_but_themselves():
    """Without distillation, chain and heads learn what they learn in `multi_exit`."""
    network = attentive(exits=[1, 2, 4], distillation=0.0)
    torch.manual_seed(0)
    plain = make_relaxation({"name": "multi_exit", "exits": [1, 2, 4], "distillation": 0.0}).supernet(SPACE).double()
    plain.load_state_dict(network.pruned().double().state_dict())
    names, parameters = zip(*plain.named_parameters(), strict=True)
    wanted = torch.autograd.grad(plain.objective(X, Y, criterion), parameters)
    same = torch.autograd.grad(network.objective(X, Y, criterion), [network.get_parameter(name) for name in names])
    for one, other in zip(same, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_what_is_pruned_away_is_not_missed():
    network = attentive(exits=[1, 2, 4]).float().eval()
    pruned = network.pruned().eval()
    for one, other in zip(network.exit_logits(X.float()), pruned.exit_logits(X.float()), strict=True):
        assert one.equal(other)
    twin = 3 * 6 * 6 + 6 * 4 + 4
    assert sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in pruned.parameters()) == 2 * twin
    assert inference_flops(network, (3,)) == inference_flops(pruned, (3,))


def test_a_text_has_no_single_feature_vector():
    text = {"input_shape": (5,), "num_classes": 6, "num_tokens": 6}
    space = make_example({**text, "options": {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2}})
    with pytest.raises(InvalidInput, match="a text has one per token"):
        AttentiveExits().check(space)
