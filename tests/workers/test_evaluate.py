"""Accuracy and loss of all labels, one per input or one per position."""

import math

import pytest
import torch
from torch import nn

from controllers.cost import ChargeKind
from tests.workers.blobs import CPU
from workers.evaluate import evaluate
from workers.meter import Meter
from workers.recipes.standard import cross_entropy
from workers.tasks import Split
from workers.training import Training


class Says(nn.Module):
    """Logits 0, and `log(odds)` for the class that the input names."""

    def __init__(self, odds=3.0, num_classes=4):
        super().__init__()
        self.height, self.num_classes = math.log(odds), num_classes

    def forward(self, x):
        return nn.functional.one_hot(x.long(), self.num_classes) * self.height


SURE, WRONG = math.log(6 / 3), math.log(6 / 1)
"""Losses: the probabilities are 3/6 for the class that is named, 1/6 for each of the others."""

ONE_EACH = Split(x=torch.tensor([0, 1, 2, 3, 0]), y=torch.tensor([0, 1, 2, 0, 1]))
PER_POSITION = Split(x=torch.tensor([[0, 1, 2], [3, 3, 1]]), y=torch.tensor([[0, 1, 0], [3, 1, 2]]))


@pytest.mark.parametrize(("split", "right", "labels"), [(ONE_EACH, 3, 5), (PER_POSITION, 3, 6)])
def test_scores_are_means_over_all_labels(split, right, labels):
    scored = evaluate(Says(), split, kind=ChargeKind.VALIDATE, meter=Meter(CPU))
    loss = (right * SURE + (labels - right) * WRONG) / labels
    assert scored.accuracy == pytest.approx(right / labels)
    assert scored.loss == pytest.approx(loss)
    assert cross_entropy(Says(), split, Training()).item() == pytest.approx(loss)


def test_smoothing_is_the_same_at_every_position():
    training = Training(label_smoothing=0.25)
    flat = Split(x=PER_POSITION.x.flatten(), y=PER_POSITION.y.flatten())
    assert torch.equal(cross_entropy(Says(), PER_POSITION, training), cross_entropy(Says(), flat, training))
