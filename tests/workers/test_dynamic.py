"""Chains that choose their depth per input, trained as ordinary architectures."""

from dataclasses import replace

import pytest
import torch

from controllers.cost import ChargeKind
from controllers.supernets import supernet_proposal
from controllers.trial import Kind, Measurement, Proposal
from search_spaces import make_space
from search_spaces.compose import answer
from search_spaces.operating_points import MeasuredPoint
from search_spaces.relaxations.gated_network import Stage
from tests.workers.blobs import blobs, job, train
from workers import flight
from workers.build import build_network
from workers.tasks import make_task

SPACE = {
    "family": "dynamic",
    "chain": {"family": "mlp", "depth": [1, 4], "width": 8, "ops": ["residual"]},
    "exits": {"spacing": 1},
    "gates": {"supervised_share": 0.5},
}
NAMES = ("exits", "gates", "policy")
VALIDATION, TEST = 40, 23
TASK = blobs(train_size=64, validation_size=VALIDATION, test_size=TEST)


def architecture(mechanism, **decisions):
    made = make_space(SPACE, input_shape=(4,), num_classes=3)
    return answer(made, {"depth": 4, "mechanism": mechanism, **decisions}, partial=True)


def dynamic_job(mechanism, **fields):
    standard = {"space": SPACE, "proposal": Proposal(architecture=architecture(mechanism)), "task": blobs()}
    return job(**{**standard, **fields})


@pytest.mark.parametrize("mechanism", NAMES)
def test_the_ordinary_recipe_trains_heads_gates_and_policies(mechanism, tmp_path):
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
    """A trial of 2 epochs from which another goes on to 5: the first stage, half of the 5, outlasts this trial."""
    seen = []
    monkeypatch.setattr(
        "search_spaces.relaxations.gated_network.GatedNetwork.begin_stage", lambda _, number: seen.append(number)
    )
    proposal = Proposal(architecture=architecture("gates"), schedule_epochs=5, epochs=2)
    train(dynamic_job("gates", proposal=proposal, epochs=2))
    assert seen == [Stage.SUPERVISED]


def searched(mechanism, folder):
    outcome = train(dynamic_job(mechanism, folder=folder / "search", task=TASK))
    assert isinstance(outcome, Measurement), outcome
    return outcome


def final(mechanism, folder):
    proposal = Proposal(kind=Kind.FINAL, architecture=architecture(mechanism), parent=0)
    one = dynamic_job(mechanism, proposal=proposal, parent_folder=folder / "search", task=TASK, epochs=2, seed=6)
    outcome = train(one)
    assert isinstance(outcome, Measurement), outcome
    return outcome


def trained(mechanism, folder):
    network = make_space(SPACE, input_shape=(4,), num_classes=3).build(architecture(mechanism))
    network.load_state_dict(flight.load_tensors(folder / "search" / flight.WEIGHTS, torch.device("cpu")))
    return network.eval()


def point(network, setting, split):
    """Worked out from one pass over all inputs, as in `tests/search_spaces/dynamic/test_dynamic.py`."""
    with torch.no_grad():
        observed = [network.observe(number, split.x) for number in range(network.num_observations())]
    return network.operating_point(setting, observed, split.y)


@pytest.mark.parametrize("mechanism", NAMES)
def test_a_trial_measures_its_points_on_validation_data(mechanism, tmp_path):
    outcome = searched(mechanism, tmp_path)
    network, validation = trained(mechanism, tmp_path), make_task(TASK).load().validation
    assert len(outcome.points) > 2
    for one in outcome.points:
        assert one == MeasuredPoint(
            model="own", split="validation", setting=one.setting, point=point(network, one.setting, validation)
        )
    assert len({one.point.mean_flops for one in outcome.points}) > 1


@pytest.mark.parametrize("mechanism", NAMES)
def test_the_final_trial_applies_settings_of_validation_to_test_data(mechanism, tmp_path):
    searched_points, outcome = searched(mechanism, tmp_path).points, final(mechanism, tmp_path)
    by_part = {
        (model, split): [one for one in outcome.points if (one.model, one.split) == (model, split)]
        for model in ("own", "delivered")
        for split in ("validation", "test")
    }
    for model in ("own", "delivered"):
        settings = [one.setting for one in by_part[model, "validation"]]
        assert [one.setting for one in by_part[model, "test"]] == settings
    # The delivered network is the one that was searched: its settings and points have not changed.
    assert [replace(one, model="own") for one in by_part["delivered", "validation"]] == list(searched_points)
    network, test = trained(mechanism, tmp_path), make_task(TASK).load_test()
    for one in by_part["delivered", "test"]:
        assert one.point == point(network, one.setting, test)
    for (_, split), points in by_part.items():
        for one in points:
            latencies = (one.latency_ms_batch1, one.latency_ms_batch256)
            assert all(each > 0 for each in latencies) if split == "test" else latencies == (None, None)
    usual = {"exits": "last exit", "gates": "threshold 0.5", "policy": "threshold 0.5"}[mechanism]
    for model, name in (("own", "retrained"), ("delivered", "delivered")):
        (whole,) = [one.point for one in by_part[model, "test"] if one.setting.label == usual]
        assert whole.accuracy == pytest.approx(outcome.metrics[f"{name}_test_accuracy"])


def test_reading_the_clock_is_no_flop(tmp_path):
    """Two networks read validation data 1 + 1 times and test data 1 + 1 times: the last exit, and all exits.

    A stem of 64, four blocks of 256 and four heads of 48; the delivered one is validated once, the other every epoch.
    """
    searched("exits", tmp_path)
    paid = {charge.kind: charge.cost for charge in final("exits", tmp_path).charges}
    last, every = 64 + 4 * 256 + 48, 64 + 4 * (256 + 48)
    assert paid[ChargeKind.TEST].flops == TEST * 2 * (last + every)
    assert paid[ChargeKind.VALIDATE].flops == VALIDATION * ((2 + 1) * last + 2 * every)


def test_static_networks_have_no_points():
    outcome = train(dynamic_job("static", task=TASK))
    assert isinstance(outcome, Measurement), outcome
    assert outcome.points == ()


def test_a_supernet_has_points_if_it_may_be_delivered():
    space = {"family": "mlp", "depth": [1, 3], "width": 8}
    proposal = supernet_proposal({"name": "skipnet"})
    plain, delivered = (
        train(job(space=space, task=TASK, proposal=replace(proposal, deliverable=deliverable)))
        for deliverable in (False, True)
    )
    assert plain.points == ()
    assert [one.setting.label for one in delivered.points][2] == "threshold 0.5"
    # Measuring changes nothing of what is derived.
    assert replace(delivered, points=(), charges=()) == replace(plain, charges=())
