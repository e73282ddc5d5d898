"""Ordinary supervised training of all parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import ParamsT

from controllers.cost import ChargeKind
from search_spaces.relaxations.relaxation import HasObjective, Penalized, Staged
from workers.recipes.recipe import Phase
from workers.recipes.stages import Timetable, scaled
from workers.tasks.task import Split
from workers.training import Training, make_optimizer, make_schedule

Loss = Callable[[nn.Module, Split, Training], Tensor]
"""From a network and a batch to a scalar."""


class Standard:
    """Minimises a loss on training batches.

    `parameters`, in torch's form, are what it trains, by default all; `loss` is by default the network's own objective
    if it has one, else cross-entropy; `schedule`, by default the study's, is for trainings that are parts of a longer
    one. A `Staged` network is given a fresh optimizer and the whole schedule in every one of its stages.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        training: Training,
        num_steps: int,
        parameters: ParamsT | None = None,
        loss: Loss | None = None,
        schedule: Literal["one_cycle", "cosine", "constant"] | None = None,
    ) -> None:
        training = training if schedule is None else replace(training, schedule=schedule)
        self.network = network
        self.training = training
        if loss is None:  # once, not in every step: asking a network for a protocol takes as long as a small layer
            loss = training_loss if isinstance(network, HasObjective) else cross_entropy
        self.loss = loss
        self.parameters = list(network.parameters() if parameters is None else parameters)
        self.timetable = Timetable.of(network, num_steps=num_steps)
        self.num_steps_done = 0
        self._begin(self.timetable.stage_at(0))

    def phases(self, epoch: int) -> Sequence[Phase]:
        return (Phase(name="weights", kind=ChargeKind.TRAIN, step=self.step, reads_validation=False),)

    def step(self, train: Split, validation: Split) -> Tensor:
        """One step on `train`; returns the loss before it."""
        loss = self.loss(self.network, train, self.training)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.training.clip_norm is not None:
            trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(trained, self.training.clip_norm)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.num_steps_done += 1
        # At once, not before the next step, whose cost is looked up by the stage that the network is in.
        if self.timetable.stage_at(self.num_steps_done) != self.stage:
            self._begin(self.timetable.stage_at(self.num_steps_done))
        return loss.detach()

    def _begin(self, stage: int) -> None:
        """Begin a stage with an optimizer that remembers nothing and the whole schedule over its steps."""
        self.stage = stage
        factor = self.timetable.learning_rates[stage]
        training = replace(self.training, learning_rate=factor * self.training.learning_rate)
        self.optimizer = make_optimizer(scaled(self.parameters, factor), training)
        self.schedule = make_schedule(self.optimizer, training, self.timetable.length(stage))
        if isinstance(self.network, Staged):
            self.network.begin_stage(stage)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"optimizer": self.optimizer.state_dict(), "num_steps_done": self.num_steps_done}
        if self.schedule is not None:
            state["schedule"] = self.schedule.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.num_steps_done = state["num_steps_done"]
        self._begin(self.timetable.stage_at(self.num_steps_done))
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])


def training_loss(network: nn.Module, batch: Split, training: Training) -> Tensor:
    """What the weights minimise on one batch, a scalar: the network's own objective, or cross-entropy."""
    if not isinstance(network, HasObjective):
        return cross_entropy(network, batch, training)

    def criterion(y_BK: Tensor, y_B: Tensor) -> Tensor:
        of_labels = _label_losses(y_BK, y_B, training, reduction="none")
        return of_labels.reshape(len(y_B), -1).mean(dim=1)

    with _precision(batch, training):
        return network.objective(batch.x, batch.y, criterion)


def cross_entropy(network: nn.Module, batch: Split, training: Training) -> Tensor:
    """Mean loss of all labels of one batch, a scalar, in the precision that the study asks for."""
    with _precision(batch, training):
        y_BK = network(batch.x)
    return _label_losses(y_BK, batch.y, training)


def penalty(network: nn.Module) -> Tensor | float:
    """What the architecture pays beside the loss."""
    return network.penalty() if isinstance(network, Penalized) else 0.0


def _label_losses(y_BK: Tensor, y_B: Tensor, training: Training, *, reduction: str = "mean") -> Tensor:
    """Losses of all labels: one per example, or one per position of `y_BTK` and `y_BT`."""
    logits, labels = y_BK.float().flatten(0, -2), y_B.flatten()
    return F.cross_entropy(logits, labels, label_smoothing=training.label_smoothing, reduction=reduction)


def _precision(batch: Split, training: Training) -> torch.autocast:
    return torch.autocast(batch.x.device.type, torch.bfloat16, enabled=training.precision == "bfloat16")
