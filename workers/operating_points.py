"""Operating points of a trained network that chooses its depth per input.

Settings are chosen on validation data, from a few passes that compute everything. The final trial applies the very same
settings to test data, and times the network that computes no more than a setting asks for: time on a clock is no FLOPs,
so timing costs nothing but device time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor, nn

from controllers.cost import ChargeKind
from controllers.trial import Kind, Proposal
from search_spaces.dynamic.dynamic import Dynamic, Observed
from search_spaces.operating_points import MeasuredPoint, Model, Setting
from workers.evaluate import sweep
from workers.meter import Meter
from workers.tasks.task import Split

MILLISECONDS = 1e3
NUM_SINGLES = 16
"""Inputs that are timed one by one: they leave at different depths."""
LARGE_BATCH = 256
REPETITIONS = 3
"""Of the large batch, of which the fastest counts."""


def has_points(network: nn.Module, proposal: Proposal, label_shape: tuple[int, ...]) -> TypeGuard[Dynamic]:
    """Whether a trial measures operating points: of what may be delivered, where every input has one answer.

    A text has one at every position, and none may leave before a later one has read its hidden states.
    """
    delivers = proposal.choosable or proposal.kind is Kind.FINAL
    return delivers and not label_shape and isinstance(network, Dynamic)


def operating_points(
    network: Dynamic,
    *,
    model: Model,
    validation: Split,
    test: Split | None = None,
    meter: Meter,
) -> tuple[MeasuredPoint, ...]:
    """The points on validation data, then, if it is given, on test data, at the same settings in the same order."""
    observed = observe(network, validation, kind=ChargeKind.VALIDATE, meter=meter)
    settings = network.settings(observed)
    measured = partial(MeasuredPoint, model=model)
    points = [
        measured(split="validation", setting=one, point=network.operating_point(one, observed, validation.y))
        for one in settings
    ]
    if test is not None:
        observed = observe(network, test, kind=ChargeKind.TEST, meter=meter)
        for one in settings:
            point = measured(split="test", setting=one, point=network.operating_point(one, observed, test.y))
            points.append(_timed(point, network, test.x, meter=meter))
    return tuple(points)


def observe(network: Dynamic, split: Split, *, kind: ChargeKind, meter: Meter) -> list[Observed]:
    """All passes over a split, which are charged as `kind`."""
    passes = range(network.num_observations())
    return [_observe_pass(network, number, split, kind=kind, meter=meter) for number in passes]


def _observe_pass(network: Dynamic, number: int, split: Split, *, kind: ChargeKind, meter: Meter) -> Observed:
    assert isinstance(network, nn.Module)
    batches: list[Observed] = []

    def look(batch: Split) -> None:
        observe = partial(network.observe, number)
        batches.append(meter.step(("observe", number), kind, lambda batch: observe(batch.x), batch))

    sweep(network, split, look, kind=kind, meter=meter)
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))


def _timed(point: MeasuredPoint, network: Dynamic, x_B: Tensor, *, meter: Meter) -> MeasuredPoint:
    """The point with how long the network takes for these inputs at its setting."""
    assert isinstance(network, nn.Module)
    was_training = network.training
    network.eval()
    with meter.clock(ChargeKind.TEST), torch.no_grad():
        batch_B, singles = x_B[:LARGE_BATCH], torch.split(x_B[:NUM_SINGLES], 1)
        network.run_at(point.setting, batch_B)  # the first run of anything is slow
        alone = sum(_seconds(network, point.setting, x_1) for x_1 in singles) / len(singles)
        together = min(_seconds(network, point.setting, batch_B) for _ in range(REPETITIONS)) / len(batch_B)
    network.train(was_training)
    return replace(point, latency_ms_batch1=alone * MILLISECONDS, latency_ms_batch256=together * MILLISECONDS)


def _seconds(network: Dynamic, setting: Setting, x_B: Tensor) -> float:
    start = time.perf_counter()
    network.run_at(setting, x_B)
    if x_B.device.type == "cuda":
        torch.cuda.synchronize(x_B.device)
    return time.perf_counter() - start
