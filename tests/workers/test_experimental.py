"""Experiments are priced and charged like anything else, and a study file can name them."""

from dataclasses import replace

import pytest

from controllers import make_controller
from controllers.cost import ChargeKind
from controllers.supernets import supernet_proposal
from controllers.trial import Measurement
from search_spaces import make_space
from tests.workers.blobs import CPU, TRAINING, blobs, job, train
from tests.workers.test_honest_flops import recount
from tests.workers.test_train import Killed, kill_after
from workers import flight
from workers.pricing import DataShape, Pricer

SPACES = {
    "mlp": {"family": "mlp", "depth": [1, 2, 3], "width": 8},
    "resnet": {"family": "resnet", "depth": [1, 2, 3], "width": 4},
    "transformer": {"family": "transformer", "depth": [1, 2], "width": 8, "heads": 2},
}
PATH = "search_spaces.experimental."
EXPERIMENTS = {
    "similar exits": {"name": PATH + "similar_exits:SimilarExits"},
    "data-free exits": {"name": PATH + "data_free_exits:DataFreeExits", "num_sets": 2},
    "attentive exits": {"name": PATH + "attentive_exits:AttentiveExits"},
    "meta exits": {"name": PATH + "meta_exits:MetaExits", "meta_share": 0.5, "inner_steps": 2},
}
STAGED = ("data-free exits", "meta exits")
SEMI_SUPERVISED = ("similar exits", "attentive exits")
ALL = [(experiment, space) for experiment in EXPERIMENTS for space in SPACES]


def trial(experiment, space, **fields):
    """Two epochs of three steps, of which the last example sits out."""
    proposal = replace(supernet_proposal(EXPERIMENTS[experiment]), deliverable=True)
    task = blobs(input_shape=[1, 8, 8], train_size=19, validation_size=13)
    training = replace(TRAINING, batch_size=6)
    one = {"space": SPACES[space], "proposal": proposal, "task": task, "training": training, "epochs": 2}
    return job(**{**one, **fields})


def price(one, **shape):
    space = make_space(one.space, input_shape=(1, 8, 8), num_classes=3)
    of_data = DataShape(**{"input_shape": (1, 8, 8), "num_train": 19, "num_validation": 13, **shape})
    pricer = Pricer(space, of_data)
    epoch = pricer.epoch_cost(one.proposal, one.training)
    return one.epochs * epoch.flops + pricer.conclusion_cost(one.proposal).flops


def charged(outcome):
    assert isinstance(outcome, Measurement), outcome
    return {charge.kind: charge.cost.flops for charge in outcome.charges}


@pytest.mark.parametrize(("experiment", "space"), ALL)
def test_what_is_charged_is_what_torch_counts(experiment, space):
    one = trial(experiment, space)
    charges = charged(train(one))
    assert charges == recount(one)
    assert set(charges) == {ChargeKind.TRAIN, ChargeKind.VALIDATE}


@pytest.mark.parametrize(("experiment", "space"), ALL)
def test_the_price_is_what_is_charged(experiment, space):
    """Of several stages, the costliest is priced."""
    one = trial(experiment, space)
    spent = sum(charged(train(one)).values())
    assert price(one) > spent if experiment in STAGED else price(one) == spent


@pytest.mark.parametrize("experiment", SEMI_SUPERVISED)
def test_inputs_without_a_label_are_priced_and_charged(experiment):
    task = blobs(input_shape=[1, 8, 8], train_size=19, validation_size=13, labelled=7)
    one = trial(experiment, "resnet", task=task)
    assert charged(train(one)) == recount(one)
    assert price(one, num_train=7, num_unlabelled=12) == sum(charged(train(one)).values())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_study_names_it_by_its_import_path(experiment):
    options = dict(EXPERIMENTS[experiment])
    method = options.pop("name")
    space = make_space(SPACES["mlp"], input_shape=(4,), num_classes=3)
    proposal = make_controller(method, {**options, "deliver": "supernet"}, space=space, seed=0).ask(0)
    assert proposal.relaxation["name"] == method
    outcome = train(job(space=SPACES["mlp"], proposal=replace(proposal, epochs=None)))
    assert isinstance(outcome, Measurement), outcome
    assert outcome.points


@pytest.mark.parametrize("experiment", STAGED)
@pytest.mark.parametrize("last", [1, 2, 3])
def test_a_trial_killed_in_any_stage_ends_as_if_it_had_not_been(tmp_path, experiment, last):
    one = trial(experiment, "resnet", epochs=4, checkpoint_s=0.0)
    whole, cut = replace(one, folder=tmp_path / "whole"), replace(one, folder=tmp_path / "cut")
    train(whole)
    with pytest.raises(Killed):
        train(cut, kill_after(last))
    train(cut)
    expected = flight.load_tensors(tmp_path / "whole" / flight.WEIGHTS, CPU)
    resumed = flight.load_tensors(tmp_path / "cut" / flight.WEIGHTS, CPU)
    assert expected.keys() == resumed.keys()
    assert all(tensor.equal(resumed[name]) for name, tensor in expected.items())
