"""Trainings of several stages: when each begins, its learning rates by hand, and going on in the middle of one."""

import copy
import math

import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.relaxation import TrainingStage
from workers.recipes import make_recipe
from workers.recipes.stages import Timetable
from workers.recipes.standard import Standard
from workers.tasks.task import Split
from workers.training import Training


class Scheduled(nn.Linear):
    """A layer whose training has stages, and that remembers which it was told of."""

    def __init__(self, *stages):
        super().__init__(4, 3)
        self.all_stages = stages
        self.begun = []

    def stages(self):
        return self.all_stages

    def begin_stage(self, number):
        self.begun.append(number)


def stages(*pairs):
    return tuple(TrainingStage(begins=begins, learning_rate=rate) for begins, rate in pairs)


def batch(step=0, num_features=4):
    x_B = torch.randn(8, num_features, generator=torch.Generator().manual_seed(step))
    return Split(x=x_B, y=torch.arange(8) % 3)


def rates(recipe, num_steps):
    """Learning rate of every step, before it is taken."""
    seen = []
    for step in range(num_steps):
        seen.append(recipe.optimizer.param_groups[0]["lr"])
        recipe.step(batch(step), batch(step))
    return seen


@pytest.mark.parametrize(
    ("begins", "expected"),
    [
        ((0.0,), [0, 0, 0, 0]),
        ((0.0, 0.5), [0, 0, 1, 1]),
        ((0.0, 0.0), [1, 1, 1, 1]),
        ((0.0, 1.0), [0, 0, 0, 0]),
        ((0.0, 0.25, 0.25, 0.75), [0, 2, 2, 3]),
    ],
)
def test_a_stage_begins_after_its_share_of_the_steps(begins, expected):
    timetable = Timetable.of(Scheduled(*stages(*((share, 1.0) for share in begins))), num_steps=4)
    assert [timetable.stage_at(step) for step in range(4)] == expected
    assert timetable.stage_at(4) == expected[-1]


def test_a_network_without_stages_has_one():
    timetable = Timetable.of(nn.Linear(4, 3), num_steps=7)
    assert (timetable.first_steps, timetable.learning_rates, timetable.length(0)) == ((0,), (1.0,), 7)


def test_every_stage_has_the_whole_schedule():
    """Cosine over n steps: `peak (1 + cos(pi t / n)) / 2`; the stages have 4 and 2 of 6 steps."""
    network = Scheduled(*stages((0.0, 1.0), (2 / 3, 0.5)))
    recipe = Standard(network, training=Training(schedule="cosine", learning_rate=0.2), num_steps=6)
    first = [0.2 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert rates(recipe, 6) == pytest.approx([*first, 0.1, 0.05])
    assert network.begun == [0, 1]


def test_one_cycles_begin_low_and_reach_the_peak_of_their_stage():
    """Smith & Topin as in torch: from a 25th of the peak."""
    network = Scheduled(*stages((0.0, 1.0), (0.5, 0.1)))
    seen = rates(Standard(network, training=Training(learning_rate=0.2), num_steps=40), 40)
    assert (seen[0], seen[20]) == pytest.approx((0.2 / 25, 0.02 / 25))
    assert max(seen[:20]) == pytest.approx(0.2, rel=0.01)
    assert max(seen[20:]) == pytest.approx(0.02, rel=0.01)


def test_a_stage_begins_with_an_optimizer_that_remembers_nothing():
    """Adam's first step is as long as the learning rate, whatever the gradient."""
    network = Scheduled(*stages((0.0, 1.0), (0.5, 0.1)))
    training = Training(schedule="constant", learning_rate=0.2, weight_decay=0)
    recipe = Standard(network, training=training, num_steps=4)
    for step in range(2):
        recipe.step(batch(step), batch(step))
    before = network.bias.detach().clone()
    recipe.step(batch(2), batch(2))
    assert (network.bias - before).abs().tolist() == pytest.approx([0.02] * 3, rel=1e-4)


def test_rates_of_parameter_groups_are_multiplied_too_and_only_once():
    """Architecture parameters learn at half the rate of the weights, the second stage at a tenth of the first."""
    network = Scheduled(*stages((0.0, 1.0), (0.25, 0.5), (0.5, 0.1)))
    groups = [{"params": [network.weight]}, {"params": [network.bias], "lr": 0.1}]
    training = Training(schedule="constant", learning_rate=0.2)
    recipe = Standard(network, training=training, num_steps=4, parameters=groups)
    seen = []
    for step in range(4):
        seen.append([group["lr"] for group in recipe.optimizer.param_groups])
        recipe.step(batch(step), batch(step))
    assert seen == [pytest.approx(pair) for pair in ([0.2, 0.1], [0.1, 0.05], [0.02, 0.01], [0.02, 0.01])]


def relaxed(name, recipe_name, num_steps):
    options = {"family": "mlp", "depth": {"min": 1, "max": 3}, "width": 6, "ops": ["residual"]}
    space = make_space(options, input_shape=(4,), num_classes=3)
    torch.manual_seed(0)
    shares = {
        "skipnet": {"plain_share": 0.25, "supervised_share": 0.25, "settled_share": 0.25},
        "blockdrop": {"plain_share": 0.25, "policy_share": 0.5},
    }
    network = make_relaxation({"name": name, **shares[name]}).supernet(space)
    return network, make_recipe(recipe_name, network, {}, training=Training(), num_steps=num_steps)


def advance(network, recipe, steps, *, per_epoch=5, num_steps=20):
    network.train()
    for step in steps:
        if step % per_epoch == 0:
            torch.manual_seed(step)
            if hasattr(network, "anneal"):
                network.anneal(step / num_steps)
        for phase in recipe.phases(step // per_epoch):
            phase.step(batch(step), batch(step))


@pytest.mark.parametrize("recipe_name", ["standard", "joint"])
@pytest.mark.parametrize("name", ["skipnet", "blockdrop"])
@pytest.mark.parametrize("done", [5, 10, 15, 20])
def test_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(name, recipe_name, done):
    """In the middle of a stage and where one ends: after 10 of 20 steps, or after 5 and 15."""
    whole, recipe = relaxed(name, recipe_name, 20)
    advance(whole, recipe, range(20))
    first, its_recipe = relaxed(name, recipe_name, 20)
    advance(first, its_recipe, range(done))
    states = copy.deepcopy((first.state_dict(), its_recipe.state_dict()))
    second, other_recipe = relaxed(name, recipe_name, 20)
    second.load_state_dict(states[0])
    other_recipe.load_state_dict(states[1])
    advance(second, other_recipe, range(done, 20))
    for key, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
