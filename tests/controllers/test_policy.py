"""The LSTM policy against its equations in NumPy, and its FLOPs against a count by hand."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from controllers.policy import INIT_BOUND, LstmPolicy, everything, policy_flops
from search_spaces.compose import Decision, trace
from tests.controllers.reference_policy import reference
from tests.controllers.toys import Landscape

ASKED = (
    Decision(name="depth", options=(1, 2, 3), answer=2),
    Decision(name="block1.op", options=("a", "b"), answer="b"),
    Decision(name="block2.op", options=("a", "b"), answer="a"),
)


def policy(seed=0, num_units=3):
    return LstmPolicy(seed=seed, num_units=num_units, num_layers=2)


def values(of):
    return {name: parameter.detach().numpy().copy() for name, parameter in of.parameters.items()}


def test_probabilities_and_entropies_are_those_of_the_equations():
    made = policy()
    log_probabilities, entropies = made.evaluate(ASKED, everything)
    expected_log_probabilities, expected_entropies = reference(values(made), ASKED)
    np.testing.assert_allclose(log_probabilities.detach(), expected_log_probabilities, rtol=1e-12)
    np.testing.assert_allclose(entropies.detach(), expected_entropies, rtol=1e-12)


def test_gradients_are_finite_differences_of_the_equations():
    made = policy()
    log_probabilities, entropies = made.evaluate(ASKED, everything)
    torch.autograd.backward(2 * log_probabilities.sum() - 3 * entropies.sum())
    current = values(made)

    def objective():
        expected_log_probabilities, expected_entropies = reference(current, ASKED)
        return 2 * sum(expected_log_probabilities) - 3 * sum(expected_entropies)

    for name, parameter in made.parameters.items():
        gradient = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        for index in np.ndindex(*parameter.shape):
            start = current[name][index]
            current[name][index] = start + 1e-5
            above = objective()
            current[name][index] = start - 1e-5
            below = objective()
            current[name][index] = start
            assert gradient[index] == pytest.approx((above - below) / 2e-5, abs=1e-8), (name, index)


def test_a_head_of_known_odds():
    made = policy()
    made.evaluate(ASKED[:1], everything)
    with torch.no_grad():
        made.parameters["head depth [1, 2, 3]"].zero_()
        made.parameters["bias depth [1, 2, 3]"].copy_(torch.tensor([0.5, 0.25, 0.25]).log())
    log_probabilities, entropies = made.evaluate(ASKED[:1], everything)
    assert log_probabilities.item() == pytest.approx(math.log(0.25))
    assert entropies.item() == pytest.approx(1.5 * math.log(2))
    log_probabilities, entropies = made.evaluate(ASKED[:1], lambda *_: [0, 1])
    assert log_probabilities.item() == pytest.approx(math.log(1 / 3))
    assert entropies.item() == pytest.approx(math.log(3) - 2 / 3 * math.log(2))


def test_answers_are_drawn_with_their_probabilities():
    made = policy()
    made.evaluate(ASKED[:1], everything)
    with torch.no_grad():
        made.parameters["head depth [1, 2, 3]"].zero_()
        made.parameters["bias depth [1, 2, 3]"].copy_(torch.tensor([0.7, 0.1, 0.2]).log())
    rng = np.random.default_rng(0)
    drawn = [made.chooser(rng, everything)("depth", (1, 2, 3)) for _ in range(500)]
    shares = [drawn.count(depth) / 500 for depth in (1, 2, 3)]
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=4 * math.sqrt(0.25 / 500))


class Dictated:
    """In place of a generator: gives the wanted answers and keeps the odds that it was offered."""

    def __init__(self, indices):
        self.indices = list(indices)
        self.probabilities = []

    def choice(self, num_options, p):
        assert len(p) == num_options
        self.probabilities.append(p[self.indices[0]])
        return self.indices.pop(0)


def test_drawing_offers_the_odds_that_evaluation_reports():
    made = policy()
    expected = made.evaluate(ASKED, everything)[0].exp().detach()
    rng = Dictated(decision.options.index(decision.answer) for decision in ASKED)
    choose = made.chooser(rng, everything)
    assert [choose(decision.name, decision.options) for decision in ASKED] == [2, "b", "a"]
    np.testing.assert_allclose(rng.probabilities, expected, rtol=1e-12)


def test_drawing_remembers_nothing():
    made = policy()
    before = values(made)
    first = [made.chooser(np.random.default_rng(5), everything)("new", range(9)) for _ in range(3)]
    assert len(set(first)) == 1
    assert values(made).keys() == before.keys()


def test_parameters_start_uniform_by_seed_and_name_in_whatever_order_they_are_met():
    forward, backward, other = policy(num_units=35), policy(num_units=35), policy(num_units=35, seed=1)
    for decision in ASKED:
        forward.evaluate([decision], everything)
        other.evaluate([decision], everything)
    for decision in reversed(ASKED):
        backward.evaluate([decision], everything)
    assert set(forward.parameters) == set(backward.parameters)
    for name, parameter in forward.parameters.items():
        assert torch.equal(parameter, backward.parameters[name])
        assert not torch.equal(parameter, other.parameters[name])
        assert parameter.abs().max() <= INIT_BOUND
    hidden = forward.parameters["layer2.hidden"]
    assert hidden.shape == (140, 35)
    assert hidden.std().item() == pytest.approx(INIT_BOUND / math.sqrt(3), rel=0.05)
    assert not torch.equal(hidden, forward.parameters["layer1.hidden"])


def test_flops_by_hand():
    """A layer's gates are two products with [35, 140] matrices: 19,600 FLOPs. A head of N options: 70 N.

    Forward once to draw and once to evaluate; backward twice the forward (inputs and weights), less the gradient
    of the first hidden state of each layer, which is a constant.
    """
    forward = 3 * 2 * 19_600 + 70 * (6 + 4 + 3)
    assert policy_flops(35, 2, (6, 4, 3)) == 4 * forward - 2 * 9_800


def test_flops_are_those_of_drawing_evaluating_and_going_back():
    made = LstmPolicy(seed=0, num_units=35, num_layers=2)
    with FlopCounterMode(display=False) as counter:
        _, asked = trace(Landscape(), made.chooser(np.random.default_rng(0), everything))
        log_probabilities, entropies = made.evaluate(asked, everything)
        torch.autograd.backward(-log_probabilities.sum() - entropies.sum())
    assert counter.get_total_flops() == policy_flops(35, 2, tuple(len(decision.options) for decision in asked))


def test_options_of_another_json_type_have_their_own_parameters():
    made = policy()
    for options in ((1, 2), ("1", "2"), (True, False)):
        made.evaluate([Decision(name="x", options=options, answer=options[0])], everything)
    assert {"answer x 1", 'answer x "1"', "answer x true"} <= set(made.parameters)
    assert {"head x [1, 2]", 'head x ["1", "2"]', "head x [true, false]"} <= set(made.parameters)
