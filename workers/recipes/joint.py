"""Weights and architecture parameters in one training loss, as LayerSelect was trained by its author.

Weight decay is for weights: on an architecture parameter it would be a preference, in LayerSelect for a shallow depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from controllers.cost import ChargeKind
from search_spaces.relaxations.relaxation import Supernet, weight_parameters
from workers.recipes.recipe import Phase
from workers.recipes.standard import Standard, penalty, training_loss
from workers.tasks.task import Split
from workers.training import Training


class Joint:
    """The standard recipe on all parameters of a supernet, projected after every step.

    `architecture_learning_rate` is the peak rate of the architecture parameters; None: that of the weights times
    `architecture_learning_rate_factor`. Both follow the study's schedule. Weights alone for `warmup_epochs`.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        training: Training,
        num_steps: int,
        architecture_learning_rate: float | None = None,
        architecture_learning_rate_factor: float = 1.0,
        warmup_epochs: int = 0,
    ) -> None:
        assert isinstance(network, Supernet)
        self.supernet = network
        self.warmup_epochs = warmup_epochs
        relative_rate = architecture_learning_rate_factor * training.learning_rate
        groups: list[dict[str, Any]] = [
            {"params": weight_parameters(network)},
            {
                "params": network.architecture_parameters(),
                "lr": relative_rate if architecture_learning_rate is None else architecture_learning_rate,
                "weight_decay": 0.0,
            },
        ]
        self.standard = Standard(
            network, training=training, num_steps=num_steps, parameters=groups, loss=penalized_loss
        )

    def phases(self, epoch: int) -> Sequence[Phase]:
        name, step = ("weights", self.weights_step) if epoch < self.warmup_epochs else ("joint", self.step)
        return (Phase(name=name, kind=ChargeKind.TRAIN, step=step, reads_validation=False),)

    def weights_step(self, train: Split, validation: Split) -> Tensor:
        """One step of the weights on `train`; returns the loss before it."""
        with frozen(self.supernet.architecture_parameters()):
            return self.standard.step(train, validation)

    def step(self, train: Split, validation: Split) -> Tensor:
        """One step of everything on `train`; returns the loss before it."""
        loss = self.standard.step(train, validation)
        self.supernet.constrain()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return self.standard.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.standard.load_state_dict(state)


@contextmanager
def frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """They get no gradient, so that an optimizer passes them over, with their decay and its own state."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def penalized_loss(network: nn.Module, batch: Split, training: Training) -> Tensor:
    """What weights and architecture minimise together."""
    return training_loss(network, batch, training) + penalty(network)
