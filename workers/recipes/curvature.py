"""How sharply a loss bends in a few of its parameters: the largest eigenvalue of its Hessian.

Zela et al. (ICLR 2020, arXiv 1909.09656) find that the largest eigenvalue of the validation loss in the architecture
rises before a search collapses. They build the whole Hessian by finite differences; here it is only ever multiplied by
vectors, exactly, by differentiating twice. From as many products, Lanczos's method is never worse than the power
iteration, and with one per parameter it is exact. Shapes: N parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

MAX_PRODUCTS = 10
"""More hardly change the largest eigenvalue, which Lanczos's method finds first."""


def largest_eigenvalue(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """Of the Hessian of `loss` in `parameters`, a scalar. Starts from a direction of torch's current generator."""
    gradient_N = _flat(torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True))

    def product(direction_N: Tensor) -> Tensor:
        return _flat(
            torch.autograd.grad(gradient_N @ direction_N, parameters, retain_graph=True, materialize_grads=True)
        )

    start_N = torch.randn_like(gradient_N)
    return lanczos(product, start_N, num_products=min(MAX_PRODUCTS, len(start_N)))


@torch.no_grad()
def lanczos(product: Callable[[Tensor], Tensor], start_N: Tensor, *, num_products: int) -> Tensor:
    """The largest eigenvalue, a scalar, of the symmetric matrix that `product` multiplies by, approached from below."""
    basis = [start_N / torch.linalg.vector_norm(start_N)]
    diagonal, beside = [], []
    for _ in range(num_products):
        with torch.enable_grad():
            image_N = product(basis[-1])
        diagonal.append(image_N @ basis[-1])
        for direction_N in basis * 2:  # twice, against rounding
            image_N = image_N - (image_N @ direction_N) * direction_N
        norm = torch.linalg.vector_norm(image_N)
        beside.append(norm)
        # A norm of nothing but rounding restarts in some other direction, which adds no larger eigenvalue.
        basis.append(image_N / norm.clamp_min(torch.finfo(norm.dtype).tiny))
    off_diagonal = torch.diag(torch.stack(beside)[:-1], 1)
    eigenvalues: Tensor = torch.linalg.eigvalsh(torch.diag(torch.stack(diagonal)) + off_diagonal + off_diagonal.T)
    return eigenvalues[-1]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
