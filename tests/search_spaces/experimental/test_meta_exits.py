"""First-order meta-learning of heads, against gradients and differences worked out by other means."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search_spaces import make_space
from search_spaces.experimental.meta_exits import MetaExits

SPACE = make_space({"family": "mlp", "depth": {"min": 1, "max": 3}, "width": 5}, input_shape=(3,), num_classes=4)
X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(7) % 4
ALPHA = 0.3


def meta(space=SPACE, **options):
    torch.manual_seed(0)
    return MetaExits(inner_learning_rate=ALPHA, **options).supernet(space).double().train()


def criterion(y_BK, y_B):
    return F.cross_entropy(y_BK, y_B, reduction="none")


def softmax_step(weight_KD, bias_K, h_BD, y_B):
    """One gradient step of a linear classifier, by the gradient `(p - onehot) h` of its cross-entropy."""
    error_BK = (h_BD @ weight_KD.T + bias_K).softmax(dim=1) - F.one_hot(y_B, len(bias_K))
    return weight_KD - ALPHA * error_BK.T @ h_BD / len(y_B), bias_K - ALPHA * error_BK.mean(dim=0)


def adapted_by_hand(network, h_BD, y_B, steps):
    weight_KD, bias_K = network.shared.weight.detach(), network.shared.bias.detach()
    for _ in range(steps):
        weight_KD, bias_K = softmax_step(weight_KD, bias_K, h_BD.detach(), y_B)
    return weight_KD, bias_K


@pytest.mark.parametrize("steps", [1, 3])
def test_the_loss_is_that_of_queries_after_the_inner_steps(steps):
    network = meta(exits=[1, 3], inner_steps=steps)
    h = network.chain.hidden_states(X)
    losses = []
    for depth in (1, 3):
        weight, bias = adapted_by_hand(network, h[depth][:4], Y[:4], steps)
        losses.append(F.cross_entropy(h[depth][4:] @ weight.T + bias, Y[4:]))
    torch.testing.assert_close(network.objective(X, Y, criterion), sum(losses) / 2)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_is_that_of_the_query_at_the_adapted_weights(steps):
    """First order: `w_m - w` counts as a constant, for w and for the chain alike."""
    network = meta(exits=[1, 3], inner_steps=steps)
    h = network.chain.hidden_states(X)
    adapted = {depth: adapted_by_hand(network, h[depth][:4], Y[:4], steps) for depth in (1, 3)}
    adapted = {depth: [tensor.requires_grad_() for tensor in pair] for depth, pair in adapted.items()}
    loss = sum(F.cross_entropy(h[depth][4:] @ w.T + b, Y[4:]) for depth, (w, b) in adapted.items()) / 2
    chain = list(network.chain.parameters())
    of_chain = torch.autograd.grad(loss, chain, retain_graph=True)
    of_weight, of_bias = (
        sum(torch.autograd.grad(loss, [adapted[d][i] for d in (1, 3)], retain_graph=True)) for i in (0, 1)
    )
    ours = torch.autograd.grad(network.objective(X, Y, criterion), [*chain, network.shared.weight, network.shared.bias])
    for one, other in zip(ours, [*of_chain, of_weight, of_bias], strict=True):
        torch.testing.assert_close(one, other)


def test_it_is_not_the_second_order_gradient():
    """That differs by the Hessian of the support's loss, which central differences see."""
    network = meta(exits=[1, 3])
    (first_order,) = torch.autograd.grad(network.objective(X, Y, criterion), [network.shared.bias])
    exact, step = torch.zeros(4, dtype=torch.float64), 1e-5
    for k in range(4):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                network.shared.bias[k] += sign * step
            values.append(network.objective(X, Y, criterion).item())
            with torch.no_grad():
                network.shared.bias[k] -= sign * step
        exact[k] = (values[0] - values[1]) / (2 * step)
    assert not torch.allclose(first_order, exact, rtol=1e-2)
    network.learning = MetaExits(inner_learning_rate=1e-9)  # without inner steps to speak of, both are one
    (first_order,) = torch.autograd.grad(network.objective(X, Y, criterion), [network.shared.bias])
    h = network.chain.hidden_states(X)
    (plain,) = torch.autograd.grad(
        sum(F.cross_entropy(network.shared(h[depth][4:]), Y[4:]) for depth in (1, 3)) / 2, [network.shared.bias]
    )
    torch.testing.assert_close(first_order, plain, rtol=1e-6, atol=1e-9)


def test_without_inner_steps_one_classifier_fits_all_exits():
    network = meta(exits=[1, 3], inner_steps=0)
    h = network.chain.hidden_states(X)
    expected = (F.cross_entropy(network.shared(h[1]), Y) + F.cross_entropy(network.shared(h[3]), Y)) / 2
    torch.testing.assert_close(network.objective(X, Y, criterion), expected)


def test_every_exit_begins_as_the_shared_classifier():
    network = meta(exits=[1, 2, 3])
    states = network.chain.hidden_states(X)
    for depth, logits in zip((1, 2, 3), network.exit_logits(X), strict=True):
        torch.testing.assert_close(logits, network.shared(states[depth]))
    torch.testing.assert_close(network(X), network.shared(states[3]))


def learning(network):
    """The parameters with a gradient."""
    network.zero_grad(set_to_none=True)
    network.objective(X, Y, criterion).backward()
    return {parameter for parameter in network.parameters() if parameter.grad is not None}


def test_first_what_is_shared_learns_then_what_is_not():
    network = meta(exits=[1, 3])
    network.begin_stage(0)
    shared = {*network.chain.parameters(), *network.shared.parameters()}
    assert learning(network) == shared
    network.begin_stage(1)
    assert learning(network) == set(network.parameters()) - shared
    assert len(learning(network)) == 2 * 2


def test_a_difference_is_what_an_exit_has_learned_itself():
    network = meta(exits=[1, 3])
    network.begin_stage(1)
    torch.manual_seed(1)
    for depth in (1, 3):
        for difference in network.heads[str(depth)].differences.values():
            nn.init.normal_(difference)
    h = network.chain.hidden_states(X)
    losses = []
    for depth in (1, 3):
        own = network.heads[str(depth)].differences
        logits = h[depth] @ (network.shared.weight + own["weight"]).T + network.shared.bias + own["bias"]
        losses.append(F.cross_entropy(logits, Y))
    torch.testing.assert_close(network.objective(X, Y, criterion), sum(losses) / 2)


def test_an_inner_step_by_hand():
    """Zero weights give each of four classes 1/4: a step adds 3/4 alpha h to the right one's, and takes 1/4 alpha h."""
    network = meta()
    with torch.no_grad():
        for parameter in network.shared.parameters():
            parameter.zero_()
    h = torch.tensor([[2.0, 0.0, 1.0, 0.0, -4.0]], dtype=torch.float64)
    adapted = network.adapt(dict(network.shared.named_parameters()), h, torch.tensor([1]), criterion)
    signs = torch.tensor([-0.25, 0.75, -0.25, -0.25], dtype=torch.float64)
    torch.testing.assert_close(adapted["weight"].detach(), ALPHA * signs[:, None] * h)
    torch.testing.assert_close(adapted["bias"].detach(), ALPHA * signs)
