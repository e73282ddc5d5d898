"""What inputs without a label change in a training, and what they do not."""

from dataclasses import dataclass, replace

import pytest
import torch

from controllers.supernets import supernet_proposal
from controllers.trial import Measurement, Proposal
from tests.workers.blobs import CPU, TRAINING, Blobs, architecture, blobs, job, train
from workers import flight
from workers.tasks import make_task

SPACE = {"family": "mlp", "depth": [1, 2, 3], "width": 8}
TASK = blobs(labelled=8)
SGD = replace(TRAINING, optimizer="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0)
LAST = ("chain.blocks.2.0.weight", "chain.blocks.2.0.bias", "heads.3.weight", "heads.3.bias")
"""What comes after the last but one exit."""


@dataclass(frozen=True, kw_only=True)
class Few(Blobs):
    """The examples of `TASK` that keep their labels, and no others."""

    def load(self):
        return replace(make_task(TASK).load(), unlabelled=None)


def weights(folder, *, task=TASK, epochs=1, **options):
    """After `epochs` steps of all eight labelled examples."""
    proposal = supernet_proposal({"name": "multi_exit", **options})
    outcome = train(job(space=SPACE, task=task, proposal=proposal, training=SGD, epochs=epochs, folder=folder))
    assert isinstance(outcome, Measurement), outcome
    return flight.load_tensors(folder / flight.WEIGHTS, CPU)


def test_a_step_moves_what_early_exits_read_and_nothing_else(tmp_path):
    joined, alone = weights(tmp_path / "joined"), weights(tmp_path / "alone", unlabelled=0)
    for name, parameter in joined.items():
        if name in LAST:
            torch.testing.assert_close(parameter, alone[name])
        elif name != "temperature":
            assert not torch.allclose(parameter, alone[name], rtol=1e-4)


def test_without_distillation_they_are_not_read(tmp_path):
    joined = weights(tmp_path / "joined", epochs=5, distillation=0)
    alone = weights(tmp_path / "alone", epochs=5, distillation=0, unlabelled=0)
    assert all(parameter.equal(alone[name]) for name, parameter in joined.items())


def test_without_such_inputs_the_option_says_nothing(tmp_path):
    one = weights(tmp_path / "one", task=blobs(), epochs=3, unlabelled=2.0)
    other = weights(tmp_path / "other", task=blobs(), epochs=3, unlabelled=0)
    assert all(parameter.equal(other[name]) for name, parameter in one.items())


def test_a_static_network_trains_as_if_there_were_nothing_else(tmp_path):
    for name, task in (("partly", TASK), ("few", {"name": f"{__name__}:Few"})):
        outcome = train(job(task=task, proposal=Proposal(architecture=architecture()), folder=tmp_path / name))
        assert isinstance(outcome, Measurement), outcome
    partly, few = (flight.load_tensors(tmp_path / name / flight.WEIGHTS, CPU) for name in ("partly", "few"))
    assert all(parameter.equal(few[name]) for name, parameter in partly.items())


@pytest.mark.parametrize("unlabelled", [0.0, 1.0])
def test_a_text_withholds_whole_windows(tmp_path, unlabelled):
    text = blobs(input_shape=[5], num_classes=6, num_tokens=6, labelled=9)
    space = {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2}
    proposal = supernet_proposal({"name": "multi_exit", "unlabelled": unlabelled})
    outcome = train(job(space=space, task=text, proposal=proposal))
    assert isinstance(outcome, Measurement), outcome
    assert outcome.metrics["train_loss"] > 0
