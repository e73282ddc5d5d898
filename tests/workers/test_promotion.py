"""A trial that goes on from another is, to the bit, the longer training that the other would have been."""

from dataclasses import replace

import pytest
import torch

from controllers.cost import total
from controllers.trial import Kind, Measurement, Proposal
from tests.workers.blobs import MLP, TRAINING, architecture, job, train
from tests.workers.test_train import FORWARD, STEP, VALIDATION, Killed, kill_after, same, weights, without_time
from workers import flight
from workers.job import Failure

EPOCH = 3 * STEP + VALIDATION * FORWARD
RUNGS = (1, 2, 5)
NETWORK = Proposal(architecture=architecture(), schedule_epochs=5, prunable=False)
SUPERNET = Proposal(
    kind=Kind.RELAXATION,
    relaxation={"name": "darts"},
    recipe="bilevel",
    recipe_options={"order": "second", "architecture_learning_rate": 0.1},
    schedule_epochs=5,
)


def rung(folder, index, *, of=NETWORK, **fields):
    """The job of one rung; its parent is on the rung below."""
    resumed = {"parent": index - 1, "resumed_epochs": RUNGS[index - 1]} if index else {}
    proposal = replace(of, epochs=RUNGS[index], **resumed)
    parent_folder = folder / str(index - 1) if index else None
    whole = {"proposal": proposal, "epochs": RUNGS[index], "checkpoint_s": 1e9}
    return job(**{**whole, "folder": folder / str(index), "parent_folder": parent_folder, **fields})


def uninterrupted(folder, *, of=NETWORK, epochs=5, **fields):
    return job(proposal=replace(of, epochs=epochs), epochs=epochs, folder=folder / "whole", **fields)


def checkpoint(folder):
    return flight.load_tensors(folder / flight.CHECKPOINT, torch.device("cpu"))


@pytest.mark.parametrize("of", [NETWORK, SUPERNET], ids=["network", "supernet"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_promoted_twice_is_trained_once(tmp_path, of, schedule, optimizer):
    training = replace(TRAINING, schedule=schedule, optimizer=optimizer)
    fields = {"of": of, "training": training, "space": {**MLP, "depth": [1, 2]}}
    epochs, whole_epochs = [], []
    parts = [
        train(rung(tmp_path, index, **fields), lambda epoch, _: epochs.append(epoch)) for index in range(len(RUNGS))
    ]
    whole = train(uninterrupted(tmp_path, **fields), lambda epoch, _: whole_epochs.append(epoch))
    assert isinstance(whole, Measurement)
    assert same(weights(tmp_path / "2"), weights(tmp_path / "whole"))
    assert replace(parts[-1], charges=()) == replace(whole, charges=())
    assert [part.epochs for part in parts] == [1, 2, 5]
    assert [(epoch.number, epoch.metrics, epoch.profile) for epoch in epochs] == [
        (epoch.number, epoch.metrics, epoch.profile) for epoch in whole_epochs
    ]
    # Each pays for its own epochs, and the parts sum to the whole.
    assert [total(part.charges).epochs for part in parts] == [1, 1, 3]
    flops = [total(part.charges).flops for part in parts]
    assert sum(flops) == total(whole.charges).flops
    assert flops[2] == 3 * flops[0]


def test_every_rung_is_the_uninterrupted_training_cut_short(tmp_path):
    """Also the networks of the lower rungs, which a run may deliver, are those of one long schedule."""
    training = replace(TRAINING, schedule="one_cycle")
    for index in range(2):
        train(rung(tmp_path, index, training=training))
    with pytest.raises(Killed):
        train(uninterrupted(tmp_path, training=training, checkpoint_s=0.0), kill_after(2))
    assert same(weights(tmp_path / "1"), checkpoint(tmp_path / "whole")["network"])


def test_the_schedule_of_its_own_epochs_is_another_training(tmp_path):
    training = replace(TRAINING, schedule="one_cycle")
    train(rung(tmp_path, 0, training=training))
    train(job(epochs=1, training=training, folder=tmp_path / "own"))
    assert not same(weights(tmp_path / "0"), weights(tmp_path / "own"))


def test_a_promotion_counts_only_its_own_epochs(tmp_path):
    epochs = []
    train(rung(tmp_path, 0))
    outcome = train(rung(tmp_path, 1, max_flops=EPOCH), lambda epoch, _: epochs.append(epoch))
    assert (outcome.epochs, outcome.inference_flops) == (2, FORWARD)
    assert (total(outcome.charges).flops, total(outcome.charges).epochs) == (EPOCH, 1)
    assert [(epoch.number, epoch.cost.flops, epoch.cost.epochs) for epoch in epochs] == [(2, EPOCH, 1)]


@pytest.mark.parametrize("checkpoint_s", [0.0, 1e9])
@pytest.mark.parametrize("last", [3, 4, 5])
def test_a_promotion_killed_after_any_epoch_ends_as_if_it_had_not_been(tmp_path, checkpoint_s, last):
    for index in range(2):
        train(rung(tmp_path, index))
    one = rung(tmp_path, 2, checkpoint_s=checkpoint_s)
    whole = train(replace(one, folder=tmp_path / "whole"))
    with pytest.raises(Killed):
        train(one, kill_after(last))
    assert total(flight.read_charges(one.folder / flight.PROGRESS)).epochs == last - 2
    kept = last - 2 if checkpoint_s == 0 else 0
    assert total(flight.read_charges(one.folder / flight.KEPT)).epochs == kept
    numbers = []
    again = train(one, lambda epoch, _: numbers.append(epoch.number))
    assert numbers == [3, 4, 5]
    assert without_time(again.charges) == without_time(whole.charges)
    assert replace(again, charges=()) == replace(whole, charges=())
    assert same(weights(tmp_path / "2"), weights(tmp_path / "whole"))


def test_only_what_others_may_go_on_from_leaves_a_checkpoint(tmp_path):
    for index in range(3):
        train(rung(tmp_path, index))
    train(job(folder=tmp_path / "ordinary", checkpoint_s=1e9))
    left = {path.name for path in tmp_path.iterdir() if (path / flight.CHECKPOINT).exists()}
    assert left == {"0", "1"}
    assert flight.read_charges(tmp_path / "1" / flight.KEPT) == flight.read_charges(tmp_path / "1" / flight.PROGRESS)


def test_a_trial_that_had_ended_before_its_worker_died_ends_again(tmp_path):
    first = train(rung(tmp_path, 0))
    assert train(rung(tmp_path, 0)) == first


@pytest.mark.parametrize("there", [True, False])
def test_without_its_parents_checkpoint_a_promotion_fails_at_no_cost(tmp_path, there):
    if there:
        train(rung(tmp_path, 0))
        (tmp_path / "0" / flight.CHECKPOINT).unlink()
    outcome = train(rung(tmp_path, 1))
    assert outcome == Failure(reason="cannot go on from trial 0: its checkpoint is gone")


def test_a_checkpoint_of_other_epochs_is_refused(tmp_path):
    train(rung(tmp_path, 0))
    (tmp_path / "0").rename(tmp_path / "1")
    outcome = train(rung(tmp_path, 2))
    assert outcome == Failure(reason="cannot go on from trial 1 after 2 epochs: its checkpoint has 1")


def test_a_damaged_checkpoint_fails_the_promotion_only(tmp_path):
    train(rung(tmp_path, 0))
    whole = (tmp_path / "0" / flight.CHECKPOINT).read_bytes()
    (tmp_path / "0" / flight.CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    outcome = train(rung(tmp_path, 1))
    assert isinstance(outcome, Failure)
    assert outcome.charges == ()
