"""PonderNet's formulas, by brute force in double precision."""

import math

import pytest
import torch

from search_spaces.relaxations.ponder import divergence, log_geometric, log_mixture, log_stops

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 2 * torch.randn(6, 4, generator=GENERATOR, dtype=torch.float64)
LAMBDAS = [[1 / (1 + math.exp(-a)) for a in row] for row in LOGITS.tolist()]


def walk(lambdas):
    """Probability of stopping after each step, by walking: stop, or go on with what is left."""
    left, stops = 1.0, []
    for stop in [*lambdas, 1.0]:
        stops.append(left * stop)
        left *= 1 - stop
    return stops


def test_probabilities_are_those_of_the_walk_and_sum_to_one():
    p_BL = log_stops(LOGITS).exp()
    torch.testing.assert_close(p_BL, torch.tensor([walk(row) for row in LAMBDAS], dtype=torch.float64))
    torch.testing.assert_close(p_BL.sum(dim=1), torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_certainty_gives_no_infinity(logit):
    logits = torch.full((1, 3), logit, requires_grad=True)
    log_p = log_stops(logits)
    divergence(log_p, log_geometric(0.2, 4)).sum().backward()
    assert torch.isfinite(log_p).all()
    assert torch.isfinite(logits.grad).all()
    assert log_p.exp().tolist() == ([[0, 0, 0, 1]] if logit < 0 else [[1, 0, 0, 0]])


@pytest.mark.parametrize("lambda_p", [0.1, 0.5, 0.9])
def test_the_prior_is_a_geometric_distribution_that_ends(lambda_p):
    weights = [(1 - lambda_p) ** (n - 1) * lambda_p for n in range(1, 6)]
    expected = [weight / (1 - (1 - lambda_p) ** 5) for weight in weights]
    assert log_geometric(lambda_p, 5).exp().tolist() == pytest.approx(expected)
    assert sum(expected) == pytest.approx(1)


def test_the_divergence_is_that_of_the_network_from_the_prior():
    log_g = log_geometric(0.3, 5).double()
    prior = log_g.exp().tolist()
    forward = [sum(p * math.log(p / g) for p, g in zip(walk(row), prior, strict=True)) for row in LAMBDAS]
    backward = [sum(g * math.log(g / p) for p, g in zip(walk(row), prior, strict=True)) for row in LAMBDAS]
    assert divergence(log_stops(LOGITS), log_g).tolist() == pytest.approx(forward)
    assert forward != pytest.approx(backward, rel=0.1)


def test_the_mixture_is_that_of_probabilities():
    y_LBK = torch.randn(5, 6, 3, generator=GENERATOR, dtype=torch.float64)
    probabilities = y_LBK.softmax(dim=-1).tolist()
    for b, row in enumerate(log_mixture(log_stops(LOGITS), y_LBK).exp().tolist()):
        expected = [sum(p * probabilities[n][b][k] for n, p in enumerate(walk(LAMBDAS[b]))) for k in range(3)]
        assert row == pytest.approx(expected)
        assert sum(row) == pytest.approx(1)
