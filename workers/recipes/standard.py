"""Ordinary supervised training of all parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import ParamsT

from controllers.cost import ChargeKind
from workers.recipes.recipe import Phase
from workers.tasks.task import Split
from workers.training import Training, make_optimizer, make_schedule


class Standard:
    """Cross-entropy on training batches. `parameters`, in torch's form, are what it trains; by default all."""

    def __init__(
        self, network: nn.Module, *, training: Training, num_steps: int, parameters: ParamsT | None = None
    ) -> None:
        self.network = network
        self.training = training
        self.optimizer = make_optimizer(network.parameters() if parameters is None else parameters, training)
        self.schedule = make_schedule(self.optimizer, training, num_steps)

    def phases(self, epoch: int) -> Sequence[Phase]:
        return (Phase(name="weights", kind=ChargeKind.TRAIN, step=self.step, reads_validation=False),)

    def step(self, train: Split, validation: Split) -> Tensor:
        """One step on `train`; returns the loss before it."""
        loss = cross_entropy(self.network, train, self.training)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.training.clip_norm is not None:
            trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(trained, self.training.clip_norm)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"optimizer": self.optimizer.state_dict()}
        if self.schedule is not None:
            state["schedule"] = self.schedule.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])


def cross_entropy(network: nn.Module, batch: Split, training: Training) -> Tensor:
    """Mean loss of all labels of one batch, a scalar, in the precision that the study asks for."""
    with torch.autocast(batch.x.device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
        y_BK = network(batch.x)
    return F.cross_entropy(y_BK.float().flatten(0, -2), batch.y.flatten(), label_smoothing=training.label_smoothing)
