"""How a network's weights are trained: the hyperparameters that a study gives to every trial alike."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.optim.optimizer import ParamsT

from search_spaces.values import CONFIG


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Training:
    """Hyperparameters of the network's own training."""

    epochs: int = Field(default=20, ge=1, le=1_000_000)
    """Epochs of one ordinary trial."""
    batch_size: int = Field(default=64, ge=2)
    """Examples per step; the examples that do not fill a batch sit out that epoch."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov & Hutter, 2019) or SGD with Nesterov momentum."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled in AdamW, added to the gradient in SGD."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    """Learning rate over the trial's epochs (one cycle: Smith & Topin, 2019); where candidates climb rungs, over those
    of the highest."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest gradient norm; none: no clipping."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Part of the target spread evenly over the classes (Szegedy et al., 2016)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: autocast of the forward pass."""


def make_optimizer(parameters: ParamsT, training: Training) -> torch.optim.Optimizer:
    """The optimizer of the weights; a parameter group may set its own `lr` and `weight_decay`.

    Fused kernels: one call per step instead of one per tensor.
    """
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=training.learning_rate,
            momentum=training.momentum,
            nesterov=training.momentum > 0,
            weight_decay=training.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)


def make_schedule(optimizer: torch.optim.Optimizer, training: Training, num_steps: int) -> LRScheduler | None:
    """The learning-rate schedule over `num_steps` optimisation steps; None for a constant rate."""
    match training.schedule:
        case "one_cycle":
            peaks = [group["lr"] for group in optimizer.param_groups]
            return OneCycleLR(optimizer, peaks, total_steps=max(num_steps, 2), cycle_momentum=False)
        case "cosine":
            return CosineAnnealingLR(optimizer, max(num_steps, 1))
        case "constant":
            return None
