"""Accuracy and loss of a network on one split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from controllers.cost import ChargeKind
from workers.meter import Meter
from workers.tasks.task import Split

BATCH_SIZE = 512


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over all labels of a split."""

    accuracy: float
    """In [0, 1]."""
    loss: float
    """Cross-entropy in nats."""


def evaluate(network: nn.Module, split: Split, *, kind: ChargeKind, meter: Meter) -> Evaluation:
    """Run `network` in evaluation mode over the whole split, and charge it as `kind`."""
    was_training = network.training
    network.eval()
    correct = torch.zeros((), device=split.y.device)
    loss = torch.zeros((), device=split.y.device)
    with meter.clock(kind), torch.no_grad():
        for x, y in zip(torch.split(split.x, BATCH_SIZE), torch.split(split.y, BATCH_SIZE), strict=True):
            batch = Split(x=x, y=y)
            y_BK: Tensor = meter.step("forward", kind, lambda batch: network(batch.x), batch).float()
            correct += (y_BK.argmax(dim=-1) == batch.y).sum()
            loss += F.cross_entropy(y_BK.flatten(0, -2), batch.y.flatten(), reduction="sum")
        num_labels = split.y.numel()
        evaluation = Evaluation(accuracy=correct.item() / num_labels, loss=loss.item() / num_labels)
    network.train(was_training)
    return evaluation
