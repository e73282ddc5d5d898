"""The joint recipe: one loss, two learning rates, and the projection of the architecture."""

import copy

import pytest
import torch
from torch.nn import functional as F

from controllers.cost import ChargeKind
from search_spaces import make_space
from search_spaces.relaxations import make_relaxation
from workers.recipes import make_recipe
from workers.tasks import Split
from workers.training import Training

RATE, DECAY = 0.1, 0.5


def supernet(**fields):
    torch.manual_seed(0)
    space = make_space({"family": "mlp", "depth": [1, 2, 3], "width": 4}, input_shape=(2,), num_classes=2)
    return make_relaxation({"name": "layer_select", **fields}).supernet(space)


def batch():
    generator = torch.Generator().manual_seed(1)
    return Split(x=torch.randn(16, 2, generator=generator), y=torch.arange(16) % 2)


def joint(network, training, **options):
    return make_recipe("joint", network, options, training=training, num_steps=20)


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({}, RATE),
        ({"architecture_learning_rate": 0.003}, 0.003),
        ({"architecture_learning_rate_factor": 0.1}, RATE / 10),
    ],
)
def test_one_step_of_gradient_descent(options, rate):
    network = supernet()
    before = copy.deepcopy(network)
    gradients = dict(
        zip(
            (name for name, _ in before.named_parameters()),
            torch.autograd.grad(F.cross_entropy(before(batch().x), batch().y), list(before.parameters())),
            strict=True,
        )
    )
    training = Training(optimizer="sgd", learning_rate=RATE, momentum=0, weight_decay=DECAY, schedule="constant")
    (phase,) = joint(network, training, **options).phases(0)
    assert phase.kind is ChargeKind.TRAIN
    loss = phase.step(batch(), batch())
    assert loss.item() == pytest.approx(F.cross_entropy(before(batch().x), batch().y).item())
    assert gradients["selector.k"] != 0
    for name, parameter in before.named_parameters():
        moved = network.get_parameter(name)
        expected = parameter - (
            rate * gradients[name] if name == "selector.k" else RATE * (gradients[name] + DECAY * parameter)
        )
        torch.testing.assert_close(moved, expected)


@pytest.mark.parametrize("k", [1.0, 3.0])
def test_k_stays_among_the_levels(k):
    network = supernet(initial_k=k, curvature=0.25)
    recipe = joint(network, Training(learning_rate=RATE, schedule="constant"), architecture_learning_rate=10.0)
    for _ in range(4):
        recipe.step(batch(), batch())
        assert 1.0 <= network.selector.k.item() <= 3.0


def test_both_rates_follow_the_schedule():
    recipe = joint(supernet(), Training(learning_rate=RATE, schedule="one_cycle"), architecture_learning_rate=RATE / 10)
    peaks = [0.0, 0.0]
    for _ in range(20):
        rates = [group["lr"] for group in recipe.standard.optimizer.param_groups]
        assert rates[1] == pytest.approx(rates[0] / 10)
        peaks = [max(pair) for pair in zip(peaks, rates, strict=True)]
        recipe.step(batch(), batch())
    assert peaks == pytest.approx([RATE, RATE / 10], rel=0.05)


def test_warmup_trains_weights_alone():
    """As the standard recipe does on the weights of the same network, whatever the architecture's own decay or rate."""
    network, frozen = supernet(), supernet()
    frozen.selector.k.requires_grad_(False)
    training = Training(optimizer="adamw", learning_rate=RATE, weight_decay=DECAY, schedule="constant")
    recipe = joint(network, training, warmup_epochs=2, architecture_learning_rate=1.0)
    standard = make_recipe("standard", frozen, {}, training=training, num_steps=20)
    assert [recipe.phases(epoch)[0].name for epoch in range(4)] == ["weights"] * 2 + ["joint"] * 2
    for _ in range(3):
        assert recipe.phases(1)[0].step(batch(), batch()) == standard.step(batch(), batch())
    assert all(torch.equal(frozen.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
    recipe.phases(2)[0].step(batch(), batch())
    # Adam's first step of k, which remembers nothing of the warm-up, is the whole rate: it is clipped at an end.
    assert abs(network.selector.k.item() - frozen.selector.k.item()) > 0.4


def test_whole_k_of_the_raw_selector_never_moves():
    network = supernet(initial_k=2.0)
    recipe = joint(network, Training(learning_rate=RATE))
    for _ in range(5):
        recipe.step(batch(), batch())
    assert network.selector.k.item() == 2.0


def test_resumes_to_the_bit():
    network = supernet()
    recipe = joint(network, Training())
    for _ in range(3):
        recipe.step(batch(), batch())
    saved = copy.deepcopy((network.state_dict(), recipe.state_dict()))
    resumed = supernet()
    again = joint(resumed, Training())
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    for _ in range(3):
        recipe.step(batch(), batch())
        again.step(batch(), batch())
    assert all(torch.equal(resumed.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
