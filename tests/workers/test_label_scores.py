"""Accuracy and loss of all labels, one per input or one per position."""

import math

import pytest
import torch
from torch import nn

from controllers.cost import ChargeKind
from tests.workers.blobs import CPU
from workers.evaluate import evaluate
from workers.meter import Meter
from workers.recipes.standard import cross_entropy, training_loss
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


class Sole(Says):
    """An objective of its own, of which only the criterion matters."""

    def objective(self, x_B, y_B, criterion):
        self.of_examples = criterion(self(x_B), y_B)
        return self.of_examples.mean()


@pytest.mark.parametrize("split", [ONE_EACH, PER_POSITION])
def test_the_criterion_has_one_loss_per_example(split):
    network = Sole()
    loss = training_loss(network, split, Training())
    right = (split.x == split.y).reshape(len(split), -1)
    expected = torch.where(right, SURE, WRONG).mean(dim=1)
    torch.testing.assert_close(network.of_examples, expected)
    torch.testing.assert_close(loss, cross_entropy(Says(), split, Training()))
