"""The largest eigenvalue, against the whole Hessian in float64."""

import pytest
import torch
from torch import nn

from search_spaces import make_space
from search_spaces.relaxations import make_relaxation
from workers.recipes import make_recipe
from workers.recipes.bilevel import architecture_loss, untracked_statistics
from workers.recipes.curvature import MAX_PRODUCTS, lanczos, largest_eigenvalue
from workers.tasks import Split
from workers.training import Training


def symmetric(*eigenvalues):
    torch.manual_seed(0)
    rotation, _ = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues), dtype=torch.float64))
    return rotation @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ rotation.T


@pytest.mark.parametrize(
    ("eigenvalues", "num_products", "tolerance"),
    [
        ([3.0, 2.0, -1.0], 3, 1e-12),
        ([1.0, -9.0, 0.5], 3, 1e-12),  # the dominant one is not the largest
        ([-1.0, -2.0, -3.0], 3, 1e-12),
        ([5.0, 5.0, 5.0, 5.0], 4, 1e-12),  # every direction is an eigenvector: one product tells all
        ([0.0, 0.0], 2, 1e-12),
        ([10.0, *(0.1 * n for n in range(59))], MAX_PRODUCTS, 1e-3),
    ],
)
def test_largest_eigenvalue_of_a_matrix(eigenvalues, num_products, tolerance):
    matrix = symmetric(*eigenvalues)
    found = lanczos(lambda v: matrix @ v, torch.randn(len(matrix), dtype=torch.float64), num_products=num_products)
    assert found.item() == pytest.approx(max(eigenvalues), rel=tolerance, abs=1e-9)
    assert found.item() <= max(eigenvalues) + 1e-9, "approached from below"


def batch(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, *shape, generator=generator, dtype=torch.float64)
    return Split(x=x, y=torch.arange(8) % 3)


@pytest.mark.parametrize(
    "options",
    [
        {"family": "mlp", "depth": [0, 1, 2], "width": 4, "ops": ["dense", "residual"]},
        {"family": "resnet", "depth": [1, 2], "width": 2, "ops": ["plain", "basic"]},
    ],
    ids=["mlp", "resnet"],
)
def test_largest_eigenvalue_of_an_architecture(options):
    torch.manual_seed(1)
    space = make_space(options, input_shape=(1, 4, 4), num_classes=3)
    network = make_relaxation({"name": "darts", "flops_target": 0.1}).supernet(space).double()
    with torch.no_grad():
        for parameter in network.architecture_parameters():
            parameter.add_(torch.randn(parameter.shape))
    training = Training(label_smoothing=0.1)
    recipe = make_recipe("bilevel", network, {"eigenvalue_ratio": 1.3}, training=training, num_steps=10)
    data = batch(0, 1, 4, 4)
    names = [name for name, p in network.named_parameters() if any(p is a for a in recipe.architecture)]

    class Loss(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, split):
            return architecture_loss(self.network, split, training)

    def loss(*parameters):
        replaced = {f"network.{name}": p for name, p in zip(names, parameters, strict=True)}
        return torch.func.functional_call(Loss(), replaced, (data,))

    architecture = tuple(network.get_parameter(name).detach() for name in names)
    # The loss itself is computed in float32, which is all that its second derivatives lose.
    with untracked_statistics(network):
        rows = torch.autograd.functional.hessian(loss, architecture)
    hessian = torch.cat([
        torch.cat([block.reshape(one.numel(), -1) for block, other in zip(row, architecture, strict=True)], dim=1)
        for row, one in zip(rows, architecture, strict=True)
    ])  # fmt: skip
    truth = torch.linalg.eigvalsh(hessian)[-1].item()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert recipe.curvature_step(batch(1, 1, 4, 4), data).item() == pytest.approx(truth, rel=1e-5)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def test_a_parameter_that_the_loss_is_linear_in_bends_nothing():
    x, y = (nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64)) for _ in range(2))
    loss = 3 * x[0] ** 2 + x[0] * x[1] + y.sum()
    # [[6, 1], [1, 0]] has the eigenvalues 3 +- sqrt(10).
    assert largest_eigenvalue(loss, [x, y]).item() == pytest.approx(3 + 10**0.5)
