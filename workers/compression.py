"""What a trained network loses by post-training quantisation: bytes and accuracy, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from controllers.cost import ChargeKind
from search_spaces.quantization import quantized, size_bytes
from workers.evaluate import BATCH_SIZE, evaluate
from workers.meter import Meter
from workers.tasks.task import Split


@dataclass(frozen=True, kw_only=True)
class Compression:
    """One network and its quantised copy."""

    num_bytes: int
    accuracy: float
    """In [0, 1], before."""
    quantized_bytes: int
    quantized_accuracy: float


def compress(network: nn.Module, *, calibration: Split, validation: Split, meter: Meter) -> Compression:
    """Quantise for the inputs of `calibration`, and score both on `validation`; all passes are charged to `meter`."""
    before = evaluate(network, validation, kind=ChargeKind.VALIDATE, meter=meter)
    small = meter.step(
        "calibrate",
        ChargeKind.VALIDATE,
        lambda split: quantized(network, torch.split(split.x, BATCH_SIZE)),
        calibration,
    )
    after = evaluate(small, validation, kind=ChargeKind.VALIDATE, meter=meter)
    return Compression(
        num_bytes=size_bytes(network),
        accuracy=before.accuracy,
        quantized_bytes=size_bytes(small),
        quantized_accuracy=after.accuracy,
    )
