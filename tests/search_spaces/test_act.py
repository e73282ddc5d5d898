"""Adaptive computation time, by hand."""

import pytest
import torch

from search_spaces.relaxations.act import act

EPSILON = 0.01


def of(*h):
    h_BM = torch.tensor([h], dtype=torch.float64, requires_grad=True)
    return h_BM, act(h_BM, EPSILON)


@pytest.mark.parametrize(
    ("h", "weights", "step"),
    [
        ((0.3, 0.5), [0.3, 0.5, 0.2], 3),  # never enough: stops at the last, of which there is no h
        ((0.3, 0.8), [0.3, 0.7, 0.0], 2),
        ((0.3, 0.692), [0.3, 0.7, 0.0], 2),  # 0.992 is within epsilon of one
        ((0.3, 0.68), [0.3, 0.68, 0.02], 3),
        ((0.995, 0.5), [1.0, 0.0, 0.0], 1),
        ((0.0, 0.0), [0.0, 0.0, 1.0], 3),
    ],
)
def test_three_steps(h, weights, step):
    _, stops = of(*h)
    assert stops.weights_BL[0].tolist() == pytest.approx(weights)
    assert stops.stops_BL[0].tolist() == [n == step for n in (1, 2, 3)]
    remainder = 1 - sum(h[: step - 1])
    assert stops.remainder_B.item() == pytest.approx(remainder)
    assert stops.time().item() == pytest.approx(step + remainder)


@pytest.mark.parametrize(("h", "slopes"), [((0.3, 0.5), [-1, -1]), ((0.3, 0.8), [-1, 0]), ((0.995, 0.5), [0, 0])])
def test_the_time_falls_with_the_units_before_the_last_step(h, slopes):
    h_BM, stops = of(*h)
    stops.time().sum().backward()
    assert h_BM.grad[0].tolist() == slopes


def test_the_gradient_of_the_mixture_compares_each_step_with_the_last():
    # Stops at step 2: y = h_1 s_1 + (1 - h_1) s_2, so dy/dh_1 = s_1 - s_2, and step 3 is never reached.
    h_BM, stops = of(0.3, 0.8)
    states_L = torch.tensor([2.0, 5.0, 100.0], dtype=torch.float64)
    (stops.weights_BL[0] * states_L).sum().backward()
    assert h_BM.grad[0].tolist() == [-3.0, 0.0]


def test_inputs_stop_each_at_its_own_step():
    h_BM = torch.tensor([[0.6, 0.6, 0.6], [0.1, 0.1, 0.1], [1.0, 0.0, 0.0]], dtype=torch.float64)
    stops = act(h_BM, EPSILON)
    assert stops.stops_BL.argmax(dim=1).tolist() == [1, 3, 0]
    torch.testing.assert_close(stops.weights_BL.sum(dim=1), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(stops.time(), torch.tensor([2.4, 4.7, 2.0], dtype=torch.float64))
