"""Accuracy and loss of a network on one split, and of every level of a supernet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from controllers.cost import ChargeKind
from search_spaces.dynamic.calibration import fit_temperatures
from search_spaces.readings import (
    LEVEL_ACCURACY,
    LEVEL_DOUBT,
    LEVEL_LOSS,
    REMOVAL_ACCURACY,
    REMOVAL_LOSS,
    SCALED_WEIGHT,
    Readings,
)
from search_spaces.relaxations.relaxation import Probe, Probed, Supernet
from workers.meter import Meter
from workers.step_names import pass_name
from workers.tasks.task import Split

BATCH_SIZE = 512


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over all labels of a split."""

    accuracy: float
    """In [0, 1]."""
    loss: float
    """Cross-entropy in nats."""
    temperature: float | None = None
    """At which the loss would be least, if that was asked."""


class Sums:
    """Correct answers and losses, added up on the device and read once."""

    def __init__(self, device: torch.device) -> None:
        self.correct = torch.zeros((), device=device)
        self.loss = torch.zeros((), device=device)
        self.count = 0

    def add(self, y_BK: Tensor, y_B: Tensor) -> None:
        """Count all labels of one batch."""
        y_BK = y_BK.float()
        self.correct += (y_BK.argmax(dim=-1) == y_B).sum()
        self.loss += F.cross_entropy(y_BK.flatten(0, -2), y_B.flatten(), reduction="sum")
        self.count += y_B.numel()

    def mean(self) -> Evaluation:
        """Over all that was counted."""
        return Evaluation(accuracy=self.correct.item() / self.count, loss=self.loss.item() / self.count)


def evaluate(
    network: nn.Module, split: Split, *, kind: ChargeKind, meter: Meter, calibrate: bool = False
) -> Evaluation:
    """Run `network` in evaluation mode over the whole split, and charge it as `kind`.

    To `calibrate` costs no other pass: it looks at the same logits.
    """
    sums, name = Sums(split.y.device), pass_name("forward", network)
    logits: list[Tensor] = []

    def count(batch: Split) -> None:
        y_BK = meter.step(name, kind, lambda batch: network(batch.x), batch)
        sums.add(y_BK, batch.y)
        if calibrate:
            logits.append(y_BK.flatten(0, -2))

    sweep(network, split, count, kind=kind, meter=meter)
    if not calibrate:
        return sums.mean()
    temperature = fit_temperatures(torch.cat(logits).unsqueeze(0), split.y.flatten()).item()
    return replace(sums.mean(), temperature=temperature)


def evaluate_levels(network: Probed, split: Split, *, kind: ChargeKind, meter: Meter) -> tuple[Evaluation, Readings]:
    """`evaluate`, and what the same pass tells about the levels of a supernet."""
    assert isinstance(network, nn.Module)
    assert isinstance(network, Supernet)
    whole, name = Sums(split.y.device), pass_name("probe", network)
    parts: dict[str, list[Sums]] = {"levels": [], "removals": []}
    sizes = torch.zeros(0)
    correct: list[Tensor] = []

    def count(batch: Split) -> None:
        nonlocal sizes
        probe: Probe = meter.step(name, kind, lambda batch: network.probe(batch.x), batch)
        whole.add(probe.logits, batch.y)
        if probe.levels:
            correct.append(torch.stack([(y_BK.argmax(dim=-1) == batch.y).flatten() for y_BK in probe.levels]))
        for part, logits in (("levels", probe.levels), ("removals", probe.removals)):
            parts[part] = parts[part] or [Sums(split.y.device) for _ in logits]
            for sums, y_BK in zip(parts[part], logits, strict=True):
                sums.add(y_BK, batch.y)
        if probe.sizes:
            sizes_L = torch.stack(list(probe.sizes)).float() * len(batch)
            sizes = sizes_L if not len(sizes) else sizes + sizes_L

    sweep(network, split, count, kind=kind, meter=meter)
    scales = (sizes / len(split)).sqrt().tolist()
    readings = {
        SCALED_WEIGHT: tuple(abs(w) * scale for w, scale in zip(network.profile(), scales, strict=True))
        if scales
        else (),
        **_means(parts["levels"], LEVEL_ACCURACY, LEVEL_LOSS),
        LEVEL_DOUBT: doubt(torch.cat(correct, dim=1)) if correct else (),
        **_means(parts["removals"], REMOVAL_ACCURACY, REMOVAL_LOSS),
    }
    return whole.mean(), {name: values for name, values in readings.items() if values}


def sweep(network: nn.Module, split: Split, count: Callable[[Split], None], *, kind: ChargeKind, meter: Meter) -> None:
    """Show `count` every batch of the split, with `network` in evaluation mode; device time is charged as `kind`."""
    was_training = network.training
    network.eval()
    with meter.clock(kind), torch.no_grad():
        for x, y in zip(torch.split(split.x, BATCH_SIZE), torch.split(split.y, BATCH_SIZE), strict=True):
            count(Split(x=x, y=y))
    network.train(was_training)


def _means(sums: Sequence[Sums], accuracy: str, loss: str) -> Readings:
    means = [one.mean() for one in sums]
    return {accuracy: tuple(mean.accuracy for mean in means), loss: tuple(mean.loss for mean in means)}


def doubt(correct_LN: Tensor) -> tuple[float, ...]:
    """Standard error of the mean difference in correctness between the best level and each: N paired labels.

    A difference is -1, 0 or 1, so its second moment is the share of labels on which the two disagree.
    """
    correct_LN = correct_LN.double()
    accuracy_L = correct_LN.mean(dim=1)
    best = int(accuracy_L.argmax())
    disagreement_L = (correct_LN != correct_LN[best]).double().mean(dim=1)
    variance_L = disagreement_L - (accuracy_L[best] - accuracy_L) ** 2
    return tuple((variance_L.clamp_min(0) / correct_LN.shape[1]).sqrt().tolist())
