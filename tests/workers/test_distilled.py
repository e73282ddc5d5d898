"""What a student costs that has a teacher, by hand."""

from dataclasses import replace

import pytest

from controllers.cost import ChargeKind
from controllers.supernets import supernet_proposal
from controllers.trial import Measurement, Proposal
from search_spaces import make_space
from tests.workers.blobs import MLP, TRAINING, architecture, job, train
from workers.pricing import DataShape, Pricer

STUDENT = replace(
    supernet_proposal({"name": "distilled", "teacher": {"depth": 2}, "student": {"depth": 0}}),
    parent=0,
    inherits={"role": "teacher"},
)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_teachers_passes_are_priced_and_charged(tmp_path, precision):
    training = replace(TRAINING, precision=precision)
    teacher = Proposal(architecture=architecture(2), keep=True)
    assert isinstance(train(job(proposal=teacher, training=training, folder=tmp_path / "0")), Measurement)
    outcome = train(
        job(proposal=STUDENT, training=training, folder=tmp_path / "1", parent_folder=tmp_path / "0", epochs=2)
    )
    assert isinstance(outcome, Measurement), outcome
    asked = 2 * (4 * 8 + 2 * 8 * 8 + 8 * 3)  # FLOPs of the teacher's answer to one input
    learned = 2 * (2 * 4 * 8 + 3 * 8 * 3)  # forward, and gradients of weights and hidden states
    answered = 2 * (4 * 8 + 8 * 3)
    flops = {charge.kind: charge.cost.flops for charge in outcome.charges}
    num_steps, batch, num_validation = 3, 8, 10
    assert flops == {
        ChargeKind.TRAIN: 2 * num_steps * batch * (asked + learned),
        ChargeKind.VALIDATE: 2 * num_validation * answered,
    }
    shape = DataShape(input_shape=(4,), num_train=24, num_validation=num_validation)
    prices = Pricer(make_space(MLP, input_shape=(4,), num_classes=3), shape)
    assert 2 * prices.epoch_cost(STUDENT, training).flops == sum(flops.values())
    assert outcome.inference_flops == answered
    assert outcome.num_parameters == 4 * 8 + 8 + 8 * 3 + 3
