"""A task of any shape for the tests: `{name: "tests.workers.blobs:Blobs", ...}`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from controllers.supernets import supernet_proposal
from controllers.trial import Measurement, Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from workers.job import Job
from workers.tasks import SearchData, Split
from workers.train import run
from workers.training import Training

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Gaussian blobs, one per class, that overlap; every `poisoned`-th training input is infinite.

    With `num_tokens`, inputs are random token ids, and each is its own label.
    """

    input_shape: Sequence[int] = (4,)
    num_classes: int = 3
    num_tokens: int = 0
    train_size: int = 24
    validation_size: int = 10
    test_size: int = 9
    poisoned: bool = False

    def load(self) -> SearchData:
        train = self._draw(self.train_size, 1)
        if self.poisoned:
            train.x[0] = torch.inf
        validation = self._draw(self.validation_size, 2)
        return SearchData(train=train, validation=validation, num_classes=self.num_classes, num_tokens=self.num_tokens)

    def load_test(self) -> Split:
        return self._draw(self.test_size, 3)

    def _draw(self, size: int, seed: int) -> Split:
        generator = torch.Generator().manual_seed(seed)
        if self.num_tokens:
            x_NT = torch.randint(self.num_tokens, (size, *self.input_shape), generator=generator)
            return Split(x=x_NT, y=x_NT % self.num_classes)
        centres_K = torch.randn(self.num_classes, *self.input_shape, generator=torch.Generator().manual_seed(0))
        y_N = torch.arange(size) % self.num_classes
        return Split(x=centres_K[y_N] + torch.randn(size, *self.input_shape, generator=generator), y=y_N)


def blobs(**fields: Any) -> dict[str, Any]:
    return {"name": "tests.workers.blobs:Blobs", **fields}


MLP = {"family": "mlp", "depth": [0, 1, 2], "width": 8}
TRAINING = Training(epochs=3, batch_size=8, schedule="constant")


def architecture(depth=1, *, options=MLP, input_shape=(4,), num_classes=3):
    return answer(make_space(options, input_shape=input_shape, num_classes=num_classes), {"depth": depth}, partial=True)


def job(**fields: Any) -> Job:
    """Three epochs of three steps of a network with one hidden block, unless said otherwise."""
    standard = {
        "proposal": Proposal(architecture=architecture()),
        "space": MLP,
        "task": blobs(),
        "training": TRAINING,
        "epochs": 3,
        "seed": 5,
    }
    return Job(**{**standard, **fields})


def train(one: Job, report=lambda *_: None):
    return run(one, device=CPU, report=report)


def trained_supernet(options, *, space, epochs) -> Measurement:
    """What comes of training a supernet on 64 points."""
    task = blobs(train_size=64, validation_size=64)
    one = job(proposal=supernet_proposal(options), space=space, task=task, training=TRAINING, epochs=epochs)
    outcome = train(one)
    assert isinstance(outcome, Measurement), outcome
    return outcome
