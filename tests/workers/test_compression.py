"""Size and accuracy before and after quantisation, and what finding them out costs."""

import torch
from torch import nn

from controllers.cost import ChargeKind
from tests.workers.blobs import CPU
from workers.compression import Compression, compress
from workers.meter import Meter
from workers.tasks import Split


def test_before_and_after_by_hand():
    """Weights of 0.001 and 0.002 are both zero in steps of 1/127, and of two equal answers the first is taken."""
    network = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Linear(2, 2, bias=False))
    network[0].weight.data = torch.tensor([[1.0], [1.0]])
    network[1].weight.data = torch.tensor([[1.0, 0.001], [1.0, 0.002]])
    meter = Meter(CPU)
    split = Split(x=torch.ones(3, 1), y=torch.ones(3, dtype=torch.int64))
    found = compress(network, calibration=split, validation=split, meter=meter)
    assert found == Compression(
        num_bytes=4 * (2 + 4),
        accuracy=1.0,
        quantized_bytes=(2 + 4) + 4 * (2 + 2 + 2 * 2),
        quantized_accuracy=0.0,
    )
    (charge,) = meter.charges()
    assert charge.kind is ChargeKind.VALIDATE
    assert charge.cost.flops == 3 * 3 * 2 * (2 + 4)  # before, calibration, after; three inputs each
