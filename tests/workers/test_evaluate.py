"""Levels are validated in the pass that validates the network, and each as if it were alone."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from controllers.cost import ChargeKind, total
from search_spaces.relaxations.relaxation import Probe
from tests.workers.blobs import CPU
from workers.evaluate import BATCH_SIZE, evaluate, evaluate_levels
from workers.meter import Meter
from workers.tasks import Split

SIZE = BATCH_SIZE + 88
"""Two batches of different sizes: means must be over examples."""
WEIGHTS = (0.5, -2.0)


class Two(nn.Module):
    """Two levels: the input, and three times the input reversed."""

    def probe(self, x_B):
        levels = [x_B, 3 * x_B.flip(1)]
        mixed = WEIGHTS[0] * levels[0] + WEIGHTS[1] * levels[1]
        return Probe(logits=mixed, levels=levels, removals=levels[::-1], sizes=[h.square().mean() for h in levels])

    def forward(self, x_B):
        return self.probe(x_B).logits

    def architecture_parameters(self):
        return []

    def constrain(self):
        pass

    def profile(self):
        return WEIGHTS

    def derive(self, readings):
        return ()


def test_readings_are_means_over_the_whole_split():
    generator = torch.Generator().manual_seed(0)
    split = Split(x=torch.randn(SIZE, 3, generator=generator), y=torch.arange(SIZE) % 3)
    meter, network = Meter(CPU), Two()
    scored, readings = evaluate_levels(network, split, kind=ChargeKind.VALIDATE, meter=meter)
    whole = evaluate(network, split, kind=ChargeKind.VALIDATE, meter=Meter(CPU))
    assert (scored.accuracy, round(scored.loss, 5)) == (whole.accuracy, round(whole.loss, 5))
    levels = [split.x, 3 * split.x.flip(1)]
    accuracies = [(h.argmax(1) == split.y).float().mean().item() for h in levels]
    right = [(h.argmax(1) == split.y).double() for h in levels]
    best = max(range(2), key=lambda level: accuracies[level])
    doubts = [((right[best] - one).std(correction=0) / SIZE**0.5).item() for one in right]
    losses = [F.cross_entropy(h, split.y).item() for h in levels]
    scales = [abs(w) * h.square().mean().sqrt().item() for w, h in zip(WEIGHTS, levels, strict=True)]
    assert {name: [round(value, 4) for value in values] for name, values in readings.items()} == {
        "level_accuracy": [round(value, 4) for value in accuracies],
        "level_loss": [round(value, 4) for value in losses],
        "level_doubt": [round(value, 4) for value in doubts],
        "removal_accuracy": [round(value, 4) for value in reversed(accuracies)],
        "removal_loss": [round(value, 4) for value in reversed(losses)],
        "scaled_weight": [round(value, 4) for value in scales],
    }
    assert total(meter.charges()).flops == 0  # nothing here multiplies matrices
    assert network.training


def test_calibration_looks_at_the_same_pass():
    """Of two classes and one pair of logits: softmax(z / T) is the share of right answers at T = z / logit(share)."""
    split = Split(x=torch.tensor([[4.0, 0.0]]).expand(SIZE, 2), y=(torch.arange(SIZE) % 4 == 0).long())
    meter = Meter(CPU)
    scored = evaluate(nn.Identity(), split, kind=ChargeKind.VALIDATE, meter=meter, calibrate=True)
    assert scored.temperature == pytest.approx(4 / math.log(3))
    assert scored.accuracy == 0.75
    assert evaluate(nn.Identity(), split, kind=ChargeKind.VALIDATE, meter=Meter(CPU)).temperature is None
