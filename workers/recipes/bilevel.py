"""DARTS's alternation: architecture on validation data, weights on training data (Liu et al., ICLR 2019, algorithm 1).

Every batch first moves the architecture a along the gradient of `L_val(w', a)`, where
`w' = w - xi grad_w L_train(w, a)` are the weights one step ahead, then moves the weights w on the training loss.

- First order: xi = 0, so w' = w.
- Second order: xi is the current learning rate of the weights, and the chain rule's term (equation 7) is a central
  difference (equation 8): `grad_a L_val(w', a) - xi (grad_a L_train(w+, a) - grad_a L_train(w-, a)) / (2 eps)` with
  `w+- = w +- eps g`, `g = grad_w' L_val(w', a)`, `eps = 0.01 / |g|`.

Differences from the authors' code: w' is the plain gradient step that the paper writes, for every optimizer of the
weights, without momentum and weight decay; the second order is computed in float32 even if the study trains in
bfloat16, which is too coarse for the difference, and all its passes draw the same random numbers, or the difference
would be one of noise; and no pass of the architecture phase touches the running statistics of batch normalisation,
which belong to the unperturbed weights and to training data.

The search of the architecture may end before the training of the weights does (`early_stop`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from controllers.cost import ChargeKind
from search_spaces.relaxations.relaxation import Supernet, weight_parameters
from workers.recipes.curvature import largest_eigenvalue
from workers.recipes.early_stop import EarlyStop
from workers.recipes.recipe import Phase
from workers.recipes.standard import Standard, cross_entropy, penalty, training_loss
from workers.tasks.task import Split
from workers.training import Training

PERTURBATION = 0.01
"""Norm of `eps g`: a footnote of section 2.3 of the paper finds it accurate enough."""


class Bilevel:
    """Alternates the two levels; the hyperparameters are the paper's. Weights alone for `warmup_epochs`.

    An `architecture_learning_rate` of None is the peak rate of the weights; it follows no schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        training: Training,
        num_steps: int,
        order: Literal["first", "second"] = "first",
        architecture_learning_rate: float | None = 3e-4,
        architecture_betas: tuple[float, float] = (0.5, 0.999),
        architecture_weight_decay: float = 1e-3,
        warmup_epochs: int = 0,
        max_skips: int | None = None,
        stable_epochs: int | None = None,
        eigenvalue_ratio: float | None = None,
        eigenvalue_min_epochs: int = 10,
    ) -> None:
        assert isinstance(network, Supernet)
        self.network = network
        self.training = training
        self.order = order
        self.warmup_epochs = warmup_epochs
        self.architecture = network.architecture_parameters()
        self.weights = weight_parameters(network)
        self.standard = Standard(network, training=training, num_steps=num_steps, parameters=self.weights)
        self.optimizer = torch.optim.Adam(
            self.architecture,
            lr=training.learning_rate if architecture_learning_rate is None else architecture_learning_rate,
            betas=architecture_betas,
            weight_decay=architecture_weight_decay,
            fused=True,
        )
        self.early_stop = EarlyStop(
            network,
            self.architecture,
            max_skips=max_skips,
            stable_epochs=stable_epochs,
            eigenvalue_ratio=eigenvalue_ratio,
            eigenvalue_min_epochs=eigenvalue_min_epochs,
        )

    def phases(self, epoch: int) -> Sequence[Phase]:
        weights = Phase(name="weights", kind=ChargeKind.TRAIN, step=self.standard.step)
        if epoch < self.warmup_epochs or self.early_stop.is_over_at(epoch):
            return (weights,)
        architecture = Phase(name="architecture", kind=ChargeKind.ARCHITECTURE, step=self.architecture_step)
        if not self.early_stop.measures_curvature:
            return (architecture, weights)
        measure = Phase(name="curvature", kind=ChargeKind.ARCHITECTURE, step=self.curvature_step, once=True)
        return (measure, architecture, weights)

    def curvature_step(self, train: Split, validation: Split) -> Tensor:
        """Measure the architecture as the epoch finds it; returns the largest eigenvalue of its Hessian."""
        exact = dataclasses.replace(self.training, precision="float32")
        with untracked_statistics(self.network):
            eigenvalue = largest_eigenvalue(architecture_loss(self.network, validation, exact), self.architecture)
        self.early_stop.note_eigenvalue(eigenvalue)
        return eigenvalue

    def architecture_step(self, train: Split, validation: Split) -> Tensor:
        """Move the architecture; returns the validation loss before it, at w'."""
        with untracked_statistics(self.network):
            loss, gradient = (
                self.first_order(validation) if self.order == "first" else self.second_order(train, validation)
            )
        for parameter, of_parameter in zip(self.architecture, gradient, strict=True):
            parameter.grad = of_parameter
        self.optimizer.step()
        self.network.constrain()
        self.early_stop.note_step()
        return loss

    def first_order(self, validation: Split) -> tuple[Tensor, Sequence[Tensor]]:
        """`L_val(w, a)` and its gradient in a."""
        loss = architecture_loss(self.network, validation, self.training)
        return loss.detach(), _gradient(loss, self.architecture)

    def second_order(self, train: Split, validation: Split) -> tuple[Tensor, Sequence[Tensor]]:
        """`L_val(w', a)` and its gradient in a through w' (equations 7 and 8)."""
        exact = dataclasses.replace(self.training, precision="float32")
        xi = self.standard.optimizer.param_groups[0]["lr"]

        with repeated_noise(train):
            ahead = _gradient(training_loss(self.network, train, exact), self.weights)
        with shifted(self.weights, ahead, -xi), repeated_noise(train):
            loss = architecture_loss(self.network, validation, exact)
            both = _gradient(loss, [*self.architecture, *self.weights])
        direct, g = both[: len(self.architecture)], both[len(self.architecture) :]

        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in g]))
        eps = PERTURBATION / norm.clamp_min(torch.finfo(norm.dtype).tiny)  # a tensor: reading it would stall a GPU
        step = [eps * part for part in g]
        with shifted(self.weights, step, 1.0), repeated_noise(train):
            above = _gradient(training_loss(self.network, train, exact), self.architecture)
        with shifted(self.weights, step, -1.0):
            below = _gradient(training_loss(self.network, train, exact), self.architecture)

        parts = zip(direct, above, below, strict=True)
        return loss.detach(), [straight - xi * (up - down) / (2 * eps) for straight, up, down in parts]

    def state_dict(self) -> dict[str, Any]:
        return {
            "standard": self.standard.state_dict(),
            "architecture": self.optimizer.state_dict(),
            "early_stop": self.early_stop.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.standard.load_state_dict(state["standard"])
        self.optimizer.load_state_dict(state["architecture"])
        self.early_stop.load_state_dict(state["early_stop"])


def architecture_loss(network: nn.Module, batch: Split, training: Training) -> Tensor:
    """What the architecture minimises on one batch, a scalar."""
    return cross_entropy(network, batch, training) + penalty(network)


@contextmanager
def untracked_statistics(network: nn.Module) -> Iterator[None]:
    """Batch normalisation uses the batch, as in training, and leaves its running statistics as they are."""
    tracking = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for module in tracking:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True


@contextmanager
def repeated_noise(batch: Split) -> Iterator[None]:
    """What is drawn here is drawn again afterwards."""
    device = batch.x.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def shifted(weights: Sequence[nn.Parameter], direction: Sequence[Tensor], scale: float) -> Iterator[None]:
    """`w + scale * direction` in the place of w; afterwards w again, to the bit."""
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, change in zip(weights, direction, strict=True):
            weight.add_(change, alpha=scale)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, kept, strict=True):
                weight.copy_(before)


def _gradient(loss: Tensor, parameters: Sequence[nn.Parameter]) -> tuple[Tensor, ...]:
    """Gradient of the loss, zero for a parameter that it does not depend on."""
    return torch.autograd.grad(loss, parameters, materialize_grads=True)
