"""Chains that choose their depth per input, trained as ordinary architectures."""

import pytest
import torch

from controllers.trial import Measurement, Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from tests.workers.blobs import blobs, job, train
from workers import flight
from workers.build import build_network

SPACE = {
    "family": "dynamic",
    "chain": {"family": "mlp", "depth": [1, 4], "width": 8, "ops": ["residual"]},
    "exits": {"spacing": 1},
    "gates": {"supervised_share": 0.5},
}
NAMES = ("exits", "gates")


def architecture(mechanism, **decisions):
    made = make_space(SPACE, input_shape=(4,), num_classes=3)
    return answer(made, {"depth": 4, "mechanism": mechanism, **decisions}, partial=True)


def dynamic_job(mechanism, **fields):
    standard = {"space": SPACE, "proposal": Proposal(architecture=architecture(mechanism)), "task": blobs()}
    return job(**{**standard, **fields})


@pytest.mark.parametrize("mechanism", NAMES)
def test_the_ordinary_recipe_trains_heads_and_gates(mechanism, tmp_path):
    one = dynamic_job(mechanism, folder=tmp_path, task=blobs(train_size=64), epochs=4)
    outcome = train(one)
    assert isinstance(outcome, Measurement), outcome
    space = make_space(SPACE, input_shape=(4,), num_classes=3)
    before = build_network(one.proposal, space, seed=one.seed)
    after = flight.load_tensors(tmp_path / flight.WEIGHTS, torch.device("cpu"))
    assert outcome.num_parameters == sum(parameter.numel() for parameter in before.parameters())
    for name, parameter in before.named_parameters():
        assert not torch.equal(parameter, after[name]), name
    assert outcome.profile == outcome.derived == ()


def test_stages_of_gates_follow_the_schedule_of_the_whole_training(monkeypatch):
    """A trial of 2 epochs from which another goes on to 4: half of the schedule is supervised, all of this trial."""
    seen = []
    monkeypatch.setattr(
        "search_spaces.relaxations.gated_network.GatedNetwork.anneal", lambda _, progress: seen.append(progress)
    )
    proposal = Proposal(architecture=architecture("gates"), schedule_epochs=4, epochs=2)
    train(dynamic_job("gates", proposal=proposal, epochs=2))
    assert seen == [0.0, 0.25]
