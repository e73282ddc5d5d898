"""Networks with exits of their own as trials: every exit is trained, the last one is scored."""

import torch

from controllers.trial import SCORE, Measurement, Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.dynamic.operating_point import exit_flops
from search_spaces.flops import inference_flops
from tests.workers.blobs import TRAINING, blobs, job, train
from workers.recipes.standard import Standard
from workers.tasks import Split

SHAPE = (1, 8, 8)
OPTIONS = {"family": "multiscale", "depth": 3, "base": 1, "step": 1, "scales": 2, "channels": 4, "head_channels": 5}


def network():
    space = make_space(OPTIONS, input_shape=SHAPE, num_classes=3)
    torch.manual_seed(0)
    return space, space.build(answer(space, {}))


def test_a_step_moves_every_parameter():
    _, one = network()
    before = {name: weight.detach().clone() for name, weight in one.named_parameters()}
    batch = Split(x=torch.randn(12, *SHAPE), y=torch.arange(12) % 3)
    Standard(one, training=TRAINING, num_steps=1).step(batch, batch)
    assert all(not torch.equal(before[name], weight) for name, weight in one.named_parameters())


def test_inference_is_that_of_the_last_exit():
    space, one = network()
    task = blobs(input_shape=SHAPE)
    outcome = train(job(proposal=Proposal(architecture=answer(space, {})), space=OPTIONS, task=task, epochs=2))
    assert isinstance(outcome, Measurement), outcome
    assert outcome.inference_flops == inference_flops(one, SHAPE)
    assert outcome.num_parameters == sum(weight.numel() for weight in one.parameters())


def test_its_exits_have_operating_points():
    """From a part of the FLOPs to all of them, which the last setting takes: it reads every exit on the way."""
    space, one = network()
    task = blobs(input_shape=SHAPE, validation_size=40)
    outcome = train(job(proposal=Proposal(architecture=answer(space, {})), space=OPTIONS, task=task, epochs=2))
    assert isinstance(outcome, Measurement), outcome
    flops = [measured.point.mean_flops for measured in outcome.points]
    assert len(flops) > 2
    assert outcome.points[-1].setting.label == "last exit"
    assert max(flops) == flops[-1] == exit_flops(one, SHAPE)[-1]
    assert outcome.points[-1].point.accuracy == outcome.metrics[SCORE]
