"""Weights of mixtures and their gradients, against the formulas in float64."""

import pytest
import torch
from torch import nn

from search_spaces.relaxations.mixing import Mixing, gumbel_noise, gumbel_softmax

LOGITS = [[0.5, -1.0, 2.0], [0.0, 0.3, -0.2]]


def parameters():
    return torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)


def jacobian(function):
    return torch.autograd.functional.jacobian(function, torch.tensor(LOGITS[0], dtype=torch.float64))


def test_sigmoid_weights_are_independent():
    weights = Mixing(weights="sigmoid")(parameters(), training=True)
    torch.testing.assert_close(weights, 1 / (1 + torch.exp(-parameters())))
    slopes = jacobian(lambda logits: Mixing(weights="sigmoid")(logits, training=True))
    s = 1 / (1 + torch.exp(-parameters()[0]))
    torch.testing.assert_close(slopes, torch.diag(s * (1 - s)))


def test_probabilities_of_sigmoid_weights_sum_to_one():
    s = 1 / (1 + torch.exp(-parameters()))
    torch.testing.assert_close(Mixing(weights="sigmoid").probabilities(parameters()), s / s.sum(1, keepdim=True))


@pytest.mark.parametrize("tau", [10.0, 1.0, 0.1])
def test_gumbel_weights_and_their_slopes(tau):
    noise = torch.tensor([0.4, 1.1, -0.7], dtype=torch.float64)
    perturbed = [(logit + g) / tau for logit, g in zip(LOGITS[0], noise.tolist(), strict=True)]
    exponentials = torch.tensor(perturbed, dtype=torch.float64).exp()
    expected = exponentials / exponentials.sum()
    soft = gumbel_softmax(parameters()[0], noise, tau=tau, hard=False)
    torch.testing.assert_close(soft, expected)
    # d softmax(z)_i / d z_j = p_i ((i = j) - p_j), and z = a / tau + ...
    slopes = (torch.diag(expected) - torch.outer(expected, expected)) / tau
    for hard in (False, True):
        got = jacobian(lambda logits, hard=hard: gumbel_softmax(logits, noise, tau=tau, hard=hard))
        torch.testing.assert_close(got, slopes)
    hard = gumbel_softmax(parameters()[0], noise, tau=tau, hard=True)
    torch.testing.assert_close(hard, nn.functional.one_hot(expected.argmax(), 3).double())


def test_gumbel_draws_pick_candidates_with_their_probabilities():
    torch.manual_seed(0)
    num_draws = 20_000
    logits = torch.tensor(LOGITS[0], dtype=torch.float64).expand(num_draws, 3)
    mixing = Mixing(weights="gumbel", hard=True)
    frequencies = mixing(logits, training=True).mean(dim=0)
    expected = logits[0].softmax(0)
    deviations = (expected * (1 - expected) / num_draws).sqrt()
    assert ((frequencies - expected).abs() < 4 * deviations).all()
    assert torch.equal(mixing(logits, training=False), logits.softmax(1))


def test_gumbel_noise_has_the_moments_of_its_distribution():
    torch.manual_seed(0)
    noise = gumbel_noise(torch.empty(100_000, dtype=torch.float64))
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.02)  # Euler's constant
    assert noise.var().item() == pytest.approx(torch.pi**2 / 6, abs=0.05)


def test_noise_that_is_not_finite_is_drawn_again(monkeypatch):
    draws = iter([torch.tensor([0.0, 1.0, torch.inf]), torch.tensor([1.0, 5.0, 1.0])])
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self: self.copy_(next(draws)))
    assert gumbel_noise(torch.empty(3)).tolist() == [0.0, 0.0, 0.0]


def test_noise_comes_from_the_present_generator():
    mixing = Mixing(weights="gumbel")
    torch.manual_seed(3)
    first, second = (mixing(parameters(), training=True) for _ in range(2))
    torch.manual_seed(3)
    assert torch.equal(mixing(parameters(), training=True), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("progress", "tau", "rate", "weight"), [(0, 5.0, 0.6, 1.0), (0.5, 2.75, 0.3, 0.5)])
def test_everything_fades_linearly(progress, tau, rate, weight):
    mixing = Mixing(tau_start=5.0, tau_end=0.5, initial_skip_dropout=0.6, initial_auxiliary_skip=1.0)
    mixing.anneal(progress)
    assert (mixing.tau, mixing.skip_dropout, mixing.auxiliary_skip) == pytest.approx((tau, rate, weight))


@pytest.mark.parametrize("weights", ["softmax", "sigmoid", "gumbel"])
def test_what_has_no_competitor_has_weight_one(weights):
    assert Mixing(weights=weights)(torch.zeros(2, 1), training=True).tolist() == [[1.0], [1.0]]


def test_others_share_what_a_candidate_leaves():
    probabilities, mask = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([1.0, 0.0, 1.0])
    assert Mixing().without(probabilities, mask).tolist() == pytest.approx([2 / 7, 0, 5 / 7])
    assert Mixing(weights="sigmoid").without(probabilities, mask).tolist() == pytest.approx([0.2, 0, 0.5])
    assert Mixing().without(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])).tolist() == [0.0, 0.0]
