"""REINFORCE: baseline, loss, update and depth schedule by hand."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from controllers import make_controller
from controllers.reinforce import DepthSchedule
from controllers.trial import Status
from search_spaces.compose import answer
from search_spaces.errors import InvalidInput
from tests.controllers.reference_policy import reference
from tests.controllers.toys import Landscape, Product, arbitrary_score
from tests.controllers.trials import failed, play, scored

TINY = Product({"depth": (1, 2, 3), "op": ("a", "b")})


def reinforce(space=TINY, seed=0, **options):
    return make_controller("reinforce", options, space=space, seed=seed)


def point(depth, op):
    return answer(TINY, {"depth": depth, "op": op})


def parameters(controller):
    return controller._policy.parameters


def test_the_baseline_is_a_moving_average_that_starts_at_the_first_reward():
    controller = reinforce(baseline_decay=0.9)
    baselines = []
    for trial in (
        scored(0, point(1, "a"), 0.5),
        scored(1, point(2, "a"), 0.7),
        failed(2, point(1, "b")),
        scored(3, point(3, "b"), 0.8, status=Status.PRUNED),
    ):
        controller.tell(trial)
        baselines.append(controller._baseline)
    # 0.9 * 0.5 + 0.1 * 0.7 = 0.52; 0.9 * 0.52 = 0.468; 0.9 * 0.468 + 0.08 = 0.5012
    assert baselines == pytest.approx([0.5, 0.52, 0.468, 0.5012])


def test_the_reward_is_a_power_of_the_score():
    controller = reinforce(reward_power=3)
    controller.tell(scored(0, point(1, "a"), 0.5))
    assert controller._baseline == 0.125


def test_the_gradient_is_that_of_the_loss_by_hand():
    """Rewards 0.5, 0.7 and a failure have advantages 0, 0.7 - 0.5 = 0.2 and 0 - 0.52 = -0.52."""
    controller = reinforce(batch=4, num_units=2, entropy_weight=0.05, baseline_decay=0.9)
    trials = [scored(0, point(1, "a"), 0.5), scored(1, point(3, "b"), 0.7), failed(2, point(3, "a"))]
    for trial in trials:
        controller.tell(trial)
    asked = [controller._replay(trial.architecture) for trial in trials]
    current = {name: parameter.detach().numpy().copy() for name, parameter in parameters(controller).items()}

    def loss():
        total = 0.0
        for decisions, advantage in zip(asked, (0.0, 0.2, -0.52), strict=True):
            log_probabilities, entropies = reference(current, decisions)
            total += -advantage * sum(log_probabilities) - 0.05 * sum(entropies)
        return total / 4

    for name, parameter in parameters(controller).items():
        for index in np.ndindex(*parameter.shape):
            start = current[name][index]
            current[name][index] = start + 1e-5
            above = loss()
            current[name][index] = start - 1e-5
            below = loss()
            current[name][index] = start
            gradient = 0.0 if parameter.grad is None else parameter.grad[index].item()
            assert gradient == pytest.approx((above - below) / 2e-5, abs=1e-9), (name, index)


def test_learns_only_when_a_batch_is_full_and_then_by_one_adam_step():
    """The first step of Adam is `learning_rate * g / (|g| + 1e-8)` in every coordinate."""
    controller = reinforce(batch=2, learning_rate=0.01)
    start = {name: parameter.detach().clone() for name, parameter in parameters(controller).items()}
    controller.tell(scored(0, point(1, "a"), 0.5))
    assert all(torch.equal(parameters(controller)[name], value) for name, value in start.items())
    gradient = parameters(controller)["start"].grad.clone()
    controller.tell(scored(1, point(1, "a"), 0.5))  # advantage 0 again: twice the same gradient
    step = start["start"] - parameters(controller)["start"].detach()
    torch.testing.assert_close(step, 0.01 * 2 * gradient / (2 * gradient.abs() + 1e-8))
    assert parameters(controller)["start"].grad is None


def test_good_answers_become_likelier_and_bad_ones_rarer():
    def probability(controller, which):
        asked = controller._replay(scored(0, which, 0.0).architecture)
        return controller._policy.evaluate(asked, controller._allowed(0))[0].sum().item()

    good, bad = point(3, "b"), point(1, "a")
    controller = reinforce(entropy_weight=0)
    before = [probability(controller, which) for which in (good, bad)]
    for number in range(20):
        controller.tell(scored(number, *((good, 0.9) if number % 2 else (bad, 0.1))))
    after = [probability(controller, which) for which in (good, bad)]
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_decisions_met_late_are_learned_too():
    controller = reinforce(Landscape(), batch=1)
    one, deep = ({"depth": depth, "block1.op": "gate"} for depth in (1, 6))
    controller.tell(scored(0, answer(Landscape(), one, partial=True), 0.5))
    assert not any("block6" in name for name in parameters(controller))
    controller.tell(scored(1, answer(Landscape(), deep, partial=True), 0.9))
    name = 'bias block6.op ["convolution", "pooling", "attention", "gate"]'
    before = parameters(controller)[name].detach().clone()
    controller.tell(scored(2, answer(Landscape(), deep, partial=True), 0.1))
    assert not torch.equal(parameters(controller)[name], before)


def test_what_is_charged_is_what_is_executed():
    controller = reinforce(Landscape())
    for number in range(6):
        controller.ask(number)  # counts the shape, so that the next ask does nothing but draw
        with FlopCounterMode(display=False) as counter:
            proposal = controller.ask(number)
            controller.tell(scored(number, proposal, arbitrary_score(proposal.architecture)))
        assert counter.get_total_flops() == proposal.controller_flops > 0


@pytest.mark.parametrize(("number", "limit"), [(0, 6), (1599, 6), (1600, 8), (3199, 8), (3200, 10)])
def test_the_papers_depth_schedule(number, limit):
    assert DepthSchedule().limit(number) == limit


def test_depths_above_the_limit_are_masked():
    schedule = DepthSchedule(start=2, step=1, every=10)
    assert schedule.allowed(0, "stage1.depth", (1, 2, 3, 4)) == [0, 1]
    assert schedule.allowed(10, "depth", (1, 2, 3, 4)) == [0, 1, 2]
    assert schedule.allowed(0, "depth", (8, 4, 6)) == [1]
    assert list(schedule.allowed(0, "width", (16, 32))) == [0, 1]
    assert schedule.allowed(0, "stochastic_depth", ("off", "on")) == [0, 1]


def test_learns_under_the_mask_that_the_trial_was_drawn_under():
    """At trial 10 depths 1 and 2 are allowed: a reward 0.2 above the baseline pulls one up and the other down."""
    schedule = {"start": 1, "step": 1, "every": 10}
    controller = reinforce(depth_schedule=schedule, batch=9, entropy_weight=0)
    controller.tell(scored(0, point(1, "a"), 0.5))
    controller.tell(scored(10, point(2, "a"), 0.7))
    gradient = parameters(controller)["bias depth [1, 2, 3]"].grad
    odds_of_one = gradient[0].item() * 9 / 0.2
    assert 0.4 < odds_of_one < 0.6
    assert gradient.tolist() == pytest.approx([0.2 * odds_of_one / 9, -0.2 * odds_of_one / 9, 0])


def test_the_schedule_lets_depth_grow_with_the_number_of_the_trial():
    controller = reinforce(Landscape(), depth_schedule={"start": 1, "step": 2, "every": 20})
    depths = [controller.ask(number).architecture.depth for number in range(60)]
    assert max(depths[:20]) == 1
    assert max(depths[20:40]) == 3
    assert max(depths[40:]) == 5


def test_learning_and_drawing_leave_torchs_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    play(reinforce(Landscape()), 5, lambda number, proposal: scored(number, proposal, 0.5))
    assert torch.equal(torch.get_rng_state(), before)


def test_is_the_same_to_the_last_bit():
    def learned(global_seed):
        torch.manual_seed(global_seed)
        controller = reinforce(Landscape())
        play(controller, 12, lambda number, proposal: scored(number, proposal, arbitrary_score(proposal.architecture)))
        return parameters(controller)

    one, other = learned(1), learned(2)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_space_without_decisions_costs_nothing():
    controller = reinforce(Product({"depth": (2,)}))
    proposal = controller.ask(0)
    controller.tell(scored(0, proposal, 0.5))
    assert proposal.controller_flops == 0


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"learning_rate": 0}, "learning_rate"),
        ({"baseline_decay": 1}, "baseline_decay"),
        ({"batch": 0}, "batch"),
        ({"depth_schedule": {"every": 0}}, "depth_schedule.every"),
        ({"depth_schedule": {"stop": 3}}, "depth_schedule.stop"),
    ],
)
def test_bad_options_are_refused_by_name(options, field):
    with pytest.raises(InvalidInput) as caught:
        reinforce(**options)
    assert caught.value.field == field
