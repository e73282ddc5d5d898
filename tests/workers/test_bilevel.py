"""The bilevel recipe: its gradients against finite differences, its FLOPs against a count by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from controllers.cost import ChargeKind
from search_spaces import make_space
from search_spaces.relaxations import make_relaxation
from search_spaces.relaxations.relaxation import weight_parameters
from workers.recipes import make_recipe
from workers.tasks import Split
from workers.training import Training

XI = 2.0
BATCH, FEATURES, CLASSES = 8, 3, 2


class Tiny(nn.Module):
    """`V (p tanh(W x) + (1 - p) sin(W x))` with p = softmax(a)_0: two architecture parameters, ten weights."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(2, FEATURES))
        self.v = nn.Parameter(torch.randn(CLASSES, 2))
        self.a = nn.Parameter(torch.tensor([0.3, -0.2]))

    def forward(self, x):
        p = self.a.softmax(0)
        return (p[0] * torch.tanh(x @ self.w.T) + p[1] * torch.sin(x @ self.w.T)) @ self.v.T

    def architecture_parameters(self):
        return [self.a]

    def constrain(self): ...
    def profile(self): ...
    def derive(self, readings): ...


def batch(seed, *shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(BATCH, *(shape or (FEATURES,)), generator=generator).to(dtype)
    return Split(x=x, y=torch.randint(CLASSES, (BATCH,), generator=generator))


def bilevel(network, training=None, **options):
    training = training or Training(optimizer="sgd", learning_rate=XI, momentum=0, weight_decay=0, schedule="constant")
    return make_recipe("bilevel", network, options, training=training, num_steps=20)


def tiny():
    torch.manual_seed(0)
    return Tiny().double(), batch(1, dtype=torch.float64), batch(2, dtype=torch.float64)


def loss_at(network, a, weights, data):
    y = torch.func.functional_call(network, {"a": a, **weights}, data.x)
    return F.cross_entropy(y, data.y)


def validation_loss(network, a, train, validation, *, xi):
    """`L_val(w - xi grad_w L_train(w, a), a)`."""
    weights = {"w": network.w, "v": network.v}
    gradients = torch.autograd.grad(loss_at(network, a, weights, train), list(weights.values()))
    ahead = {name: weight - xi * g for (name, weight), g in zip(weights.items(), gradients, strict=True)}
    return loss_at(network, a, ahead, validation).item()


def central_difference(function, a, step=1e-5):
    gradient = torch.zeros_like(a)
    for index in range(len(a)):
        shift = torch.zeros_like(a)
        shift[index] = step
        gradient[index] = (function(a + shift) - function(a - shift)) / (2 * step)
    return gradient


def relative_error(value, truth):
    return ((value - truth).norm() / truth.norm()).item()


def test_first_order_is_the_gradient_at_the_present_weights():
    network, train, validation = tiny()
    loss, (gradient,) = bilevel(network).first_order(validation)
    truth = central_difference(lambda a: validation_loss(network, a, train, validation, xi=0), network.a.detach())
    assert relative_error(gradient, truth) < 1e-3
    assert loss.item() == pytest.approx(validation_loss(network, network.a, train, validation, xi=0), rel=1e-6)


def test_second_order_is_the_gradient_through_one_step_of_the_weights():
    network, train, validation = tiny()
    loss, (gradient,) = bilevel(network, order="second").second_order(train, validation)
    truth = central_difference(lambda a: validation_loss(network, a, train, validation, xi=XI), network.a.detach())
    assert relative_error(gradient, truth) < 1e-3
    assert loss.item() == pytest.approx(validation_loss(network, network.a, train, validation, xi=XI), rel=1e-6)

    # Neither the first order nor the first term of equation 7 would pass.
    _, (first,) = bilevel(network).first_order(validation)
    assert relative_error(first, truth) > 0.05
    weights = {"w": network.w, "v": network.v}
    gradients = torch.autograd.grad(loss_at(network, network.a, weights, train), list(weights.values()))
    ahead = {name: (weight - XI * g).detach() for (name, weight), g in zip(weights.items(), gradients, strict=True)}
    direct = central_difference(lambda a: loss_at(network, a, ahead, validation).item(), network.a.detach())
    assert relative_error(direct, truth) > 0.05


def test_second_order_follows_the_schedule_of_the_weights():
    network, train, validation = tiny()
    training = Training(optimizer="sgd", learning_rate=XI, momentum=0, weight_decay=0, schedule="one_cycle")
    recipe = bilevel(network, training, order="second")
    xi = XI / 25  # where torch's one-cycle schedule starts
    _, (gradient,) = recipe.second_order(train, validation)
    truth = central_difference(lambda a: validation_loss(network, a, train, validation, xi=xi), network.a.detach())
    assert relative_error(gradient, truth) < 1e-3


def test_second_order_of_a_random_network_is_that_of_one_draw():
    torch.manual_seed(0)
    options = {"family": "mlp", "depth": [0, 1, 2], "width": 4, "ops": ["dense", "residual"]}
    space = make_space(options, input_shape=(FEATURES,), num_classes=CLASSES)
    network = make_relaxation({"name": "darts", "weights": "gumbel", "tau_start": 1.0}).supernet(space).double()
    train, validation = batch(1, dtype=torch.float64), batch(2, dtype=torch.float64)
    recipe = bilevel(network, order="second")
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    weights = {names[id(one)]: one for one in recipe.weights}
    shapes = [one.shape for one in recipe.architecture]

    def loss(a, w, data):
        parts = a.split([shape.numel() for shape in shapes])
        architecture = {
            names[id(one)]: part.reshape(shape)
            for one, part, shape in zip(recipe.architecture, parts, shapes, strict=True)
        }
        torch.manual_seed(7)
        return F.cross_entropy(torch.func.functional_call(network, {**w, **architecture}, data.x), data.y)

    def ahead(a):
        gradients = torch.autograd.grad(loss(a, weights, train), list(weights.values()), materialize_grads=True)
        stepped = {name: w - XI * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
        return loss(a, stepped, validation).item()

    at = torch.cat([one.detach().flatten() for one in recipe.architecture])
    torch.manual_seed(7)
    _, gradient = recipe.second_order(train, validation)
    assert relative_error(torch.cat([one.flatten() for one in gradient]), central_difference(ahead, at)) < 1e-3


def test_second_order_is_finite_where_the_validation_loss_is_flat():
    network, train, validation = tiny()
    validation = Split(x=torch.zeros_like(validation.x), y=validation.y)  # the logits are zero whatever the weights
    _, (gradient,) = bilevel(network, order="second").second_order(train, validation)
    assert gradient.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("order", ["first", "second"])
def test_architecture_step_descends_and_leaves_the_weights_alone(order):
    network, train, validation = tiny()
    before = copy.deepcopy(network)
    xi = XI if order == "second" else 0
    truth = central_difference(lambda a: validation_loss(network, a, train, validation, xi=xi), network.a.detach())
    recipe = bilevel(network, order=order, architecture_learning_rate=0.01, architecture_weight_decay=0.0)
    recipe.architecture_step(train, validation)
    # Adam's first step is the learning rate against the sign of the gradient.
    assert (network.a - before.a).tolist() == pytest.approx((-0.01 * truth.sign()).tolist(), rel=1e-4)
    assert torch.equal(network.w, before.w)
    assert torch.equal(network.v, before.v)


def test_the_architectures_rate_may_be_that_of_the_weights():
    network, train, validation = tiny()
    before = network.a.detach().clone()
    recipe = bilevel(network, architecture_learning_rate=None, architecture_weight_decay=0.0)
    recipe.architecture_step(train, validation)
    assert (network.a - before).abs().tolist() == pytest.approx([XI, XI], rel=1e-4)


def test_weight_phase_is_the_standard_step_with_its_own_clipping():
    training = Training(optimizer="sgd", learning_rate=0.1, momentum=0.9, schedule="constant", clip_norm=0.01)
    network, train, validation = tiny()
    frozen = copy.deepcopy(network)
    frozen.a.requires_grad_(False)
    network.a.grad = torch.full_like(network.a, 1e6)  # what an architecture phase may leave behind
    loss = bilevel(network, training).phases(0)[1].step(train, validation)
    expected = make_recipe("standard", frozen, {}, training=training, num_steps=20).step(train, validation)
    assert loss == expected
    for one, other in zip(network.parameters(), frozen.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("order", ["first", "second"])
def test_architecture_phase_leaves_batch_norm_statistics_alone(order):
    torch.manual_seed(0)
    options = {"family": "resnet", "depth": [1, 2], "width": 2, "ops": ["plain", "basic"]}
    space = make_space(options, input_shape=(1, 4, 4), num_classes=CLASSES)
    network = make_relaxation({"name": "darts", "order": order}).supernet(space)
    architecture, weights = bilevel(network, order=order).phases(0)
    train, validation = batch(1, 1, 4, 4), batch(2, 1, 4, 4)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    architecture.step(train, validation)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    weights.step(train, validation)
    assert not any(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())


def count(step, *batches):
    with FlopCounterMode(display=False) as counter:
        step(*batches)
    return counter.get_total_flops()


@pytest.mark.parametrize("order", ["first", "second"])
def test_flops_of_the_phases(order):
    width = 4
    space = make_space({"family": "mlp", "depth": [1, 2], "width": width}, input_shape=(FEATURES,), num_classes=CLASSES)
    network = make_relaxation({"name": "darts"}).supernet(space)
    architecture, weights = bilevel(network, order=order).phases(0)
    assert (architecture.kind, weights.kind) == (ChargeKind.ARCHITECTURE, ChargeKind.TRAIN)

    stem, block, head = (2 * BATCH * width * other for other in (FEATURES, width, CLASSES))
    forward = stem + 2 * block + head
    to_weights = forward + 2 * block + head  # a product per weight, and one per hidden state that has weights below it
    to_depths = head  # the depths are mixed just below the head
    first = forward + to_depths
    second = (forward + to_weights) * 2 + (forward + to_depths) * 2
    data = batch(1), batch(2)
    expected = first if order == "first" else second
    assert [count(architecture.step, *data) for _ in range(2)] == [expected] * 2
    assert [count(weights.step, *data) for _ in range(2)] == [forward + to_weights] * 2


def test_warmup_trains_weights_alone():
    recipe = bilevel(tiny()[0], warmup_epochs=2)
    names = [[phase.name for phase in recipe.phases(epoch)] for epoch in range(4)]
    assert names == [["weights"]] * 2 + [["architecture", "weights"]] * 2


@pytest.mark.parametrize("order", ["first", "second"])
def test_resumes_to_the_bit(order):
    def advance(network, recipe, steps):
        for seed in steps:
            for phase in recipe.phases(0):
                phase.step(batch(seed), batch(100 + seed))
        return network.state_dict()

    torch.manual_seed(0)
    network = Tiny()
    recipe = bilevel(network, Training(), order=order)
    advance(network, recipe, range(3))
    saved = copy.deepcopy((network.state_dict(), recipe.state_dict()))
    uninterrupted = advance(network, recipe, range(3, 6))

    resumed = Tiny()
    recipe = bilevel(resumed, Training(), order=order)
    resumed.load_state_dict(saved[0])
    recipe.load_state_dict(saved[1])
    continued = advance(resumed, recipe, range(3, 6))
    assert all(torch.equal(continued[name], tensor) for name, tensor in uninterrupted.items())


def test_learns_which_operation_generalises():
    """Labels are the sign of a sine that tanh cannot follow: the weight of the sine must grow."""
    torch.manual_seed(0)
    network = Tiny()
    recipe = bilevel(network, Training(learning_rate=0.05, schedule="constant"), architecture_learning_rate=0.05)
    generator = torch.Generator().manual_seed(0)

    def draw():
        x = torch.zeros(64, FEATURES)
        x[:, 0] = 6 * torch.rand(64, generator=generator) - 3
        return Split(x=x, y=(torch.sin(2 * x[:, 0]) > 0).long())

    for _ in range(200):
        for phase in recipe.phases(0):
            phase.step(draw(), draw())
    assert network.a.softmax(0)[1] > 0.9


def test_weights_are_all_parameters_but_the_architecture():
    network = Tiny()
    assert [id(weight) for weight in weight_parameters(network)] == [id(network.w), id(network.v)]
