"""One job, trained for real: determinism, resumption, and charges to the FLOP."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from controllers.cost import Charge, ChargeKind, total
from controllers.seeds import derive_seed
from controllers.trial import SCORE, TEMPERATURE, Kind, Measurement, Proposal
from search_spaces import make_space
from search_spaces.mlp import Mlp
from tests.workers.blobs import MLP, TRAINING, Blobs, architecture, blobs, job, train
from workers import flight
from workers.batches import Batches
from workers.job import Failure
from workers.pricing import DataShape, Pricer
from workers.training import Training

TRAIN, VALIDATION, BATCH = 24, 10, 8
STEP = 2 * BATCH * (2 * 4 * 8 + 3 * 8 * 8 + 3 * 8 * 3)
"""A step of 4 -> 8 -> 8 -> 3: the first layer needs no gradient of its input."""
FORWARD = 2 * (4 * 8 + 8 * 8 + 8 * 3)


def weights(folder):
    return flight.load_tensors(folder / flight.WEIGHTS, torch.device("cpu"))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def by_kind(outcome):
    return {charge.kind: charge.cost for charge in outcome.charges}


def _untimed(epoch):
    return replace(epoch, cost=replace(epoch.cost, device_us=0))


def without_time(charges):
    return tuple(Charge(kind=charge.kind, cost=replace(charge.cost, device_us=0)) for charge in charges)


def test_the_last_epoch_is_calibrated_if_that_is_asked():
    epochs = []
    asked = job()
    train(replace(asked, proposal=replace(asked.proposal, calibrate=True)), lambda epoch, _: epochs.append(epoch))
    assert [TEMPERATURE in epoch.metrics for epoch in epochs] == [False, False, True]


def test_three_epochs_counted_by_hand():
    epochs = []
    outcome = train(job(), lambda epoch, so_far: epochs.append((epoch, so_far)))
    paid = by_kind(outcome)
    assert paid[ChargeKind.TRAIN].flops == 3 * 3 * STEP
    assert paid[ChargeKind.TRAIN].epochs == 3
    assert paid[ChargeKind.VALIDATE].flops == 3 * VALIDATION * FORWARD
    assert set(paid) == {ChargeKind.TRAIN, ChargeKind.VALIDATE}
    assert min(cost.device_us for cost in paid.values()) > 0
    assert outcome.inference_flops == FORWARD
    assert outcome.num_parameters == (4 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 3
    assert [epoch.number for epoch, _ in epochs] == [1, 2, 3]
    assert [epoch.cost.flops for epoch, _ in epochs] == [n * (3 * STEP + VALIDATION * FORWARD) for n in (1, 2, 3)]
    assert epochs[-1][1] == outcome


def test_what_is_reported_is_what_the_weights_score(tmp_path):
    outcome = train(job(folder=tmp_path))
    network = make_space(MLP, input_shape=(4,), num_classes=3).build(architecture())
    network.load_state_dict(weights(tmp_path))
    validation = Blobs().load().validation
    with torch.no_grad():
        y_BK = network(validation.x)
    assert outcome.metrics[SCORE] == pytest.approx((y_BK.argmax(1) == validation.y).float().mean().item())
    assert outcome.metrics["val_loss"] == pytest.approx(nn.functional.cross_entropy(y_BK, validation.y).item())


def test_training_by_hand_gives_the_same_weights(tmp_path):
    training = replace(TRAINING, optimizer="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0)
    train(job(training=training, folder=tmp_path))
    torch.manual_seed(derive_seed(5, "init"))
    network = make_space(MLP, input_shape=(4,), num_classes=3).build(architecture())
    batches = Batches(Blobs().load(), batch_size=BATCH, seed=5)
    for epoch in range(3):
        for batch, _ in batches.epoch(epoch):
            loss = nn.functional.cross_entropy(network(batch.x), batch.y)
            gradients = torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                    parameter -= 0.1 * gradient
    for name, parameter in weights(tmp_path).items():
        torch.testing.assert_close(parameter, network.state_dict()[name])


def test_the_same_job_gives_the_same_network_whatever_ran_before(tmp_path):
    first = train(job(folder=tmp_path / "first"))
    torch.manual_seed(99)
    train(job(seed=6))
    second = train(job(folder=tmp_path / "second"))
    assert first.metrics == second.metrics
    assert same(weights(tmp_path / "first"), weights(tmp_path / "second"))


def test_another_seed_gives_another_network(tmp_path):
    for seed in (5, 6):
        train(job(seed=seed, folder=tmp_path / str(seed)))
    assert not same(weights(tmp_path / "5"), weights(tmp_path / "6"))


def test_the_callers_generator_is_left_alone():
    before = torch.get_rng_state()
    train(job())
    assert torch.equal(torch.get_rng_state(), before)


class Killed(BaseException):
    """Stands for the end of the process."""


def kill_after(epoch_number):
    def report(epoch, so_far):
        if epoch.number == epoch_number:
            raise Killed

    return report


PROPOSALS = {
    "architecture": Proposal(architecture=architecture()),
    "darts": Proposal(
        kind=Kind.RELAXATION,
        relaxation={"name": "darts"},
        recipe="bilevel",
        recipe_options={"order": "second", "architecture_learning_rate": 0.1},
    ),
    "depth_posterior": Proposal(
        kind=Kind.RELAXATION,
        relaxation={"name": "depth_posterior", "posterior": "poisson", "initial_nu": 0.1},
        recipe="joint",
        recipe_options={"architecture_learning_rate": 0.3},
    ),
    "layer_select": Proposal(kind=Kind.RELAXATION, relaxation={"name": "layer_select"}, recipe="joint"),
}


@pytest.mark.parametrize("name", PROPOSALS)
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
@pytest.mark.parametrize("last", [1, 2, 3])
def test_a_trial_killed_after_any_epoch_ends_as_if_it_had_not_been(tmp_path, name, schedule, last):
    space = {**MLP, "depth": [1, 2]}
    training = replace(TRAINING, schedule=schedule)
    one = job(proposal=PROPOSALS[name], space=space, training=training, checkpoint_s=0.0)
    reported, again = [], []
    whole = train(replace(one, folder=tmp_path / "whole"), lambda epoch, _: reported.append(epoch))
    cut = replace(one, folder=tmp_path / "cut")
    with pytest.raises(Killed):
        train(cut, kill_after(last))
    resumed = train(cut, lambda epoch, _: again.append(epoch))
    assert [_untimed(epoch) for epoch in again] == [_untimed(epoch) for epoch in reported]
    assert isinstance(resumed, Measurement)
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))
    assert without_time(resumed.charges) == without_time(whole.charges)
    assert replace(resumed, charges=()) == replace(whole, charges=())


def test_without_a_checkpoint_a_trial_starts_over(tmp_path):
    one = job(folder=tmp_path, checkpoint_s=1e9)
    whole = train(job())
    with pytest.raises(Killed):
        train(one, kill_after(2))
    assert not (tmp_path / flight.CHECKPOINT).exists()
    resumed = train(one)
    assert resumed.metrics == whole.metrics
    assert total(resumed.charges).flops == total(whole.charges).flops


def test_the_files_of_a_dead_worker_say_what_it_cost(tmp_path):
    epoch = 3 * STEP + VALIDATION * FORWARD
    with pytest.raises(Killed):
        train(job(folder=tmp_path, checkpoint_s=0.0), kill_after(1))
    with pytest.raises(Killed):
        train(job(folder=tmp_path, checkpoint_s=1e9), kill_after(2))
    assert total(flight.read_charges(tmp_path / flight.PROGRESS)).flops == 2 * epoch
    assert total(flight.read_charges(tmp_path / flight.KEPT)).flops == epoch


def test_an_attempt_that_ends_before_its_first_epoch_has_cost_nothing_more(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        train(job(folder=tmp_path, checkpoint_s=1e9), kill_after(2))

    def killed(*_):
        raise Killed

    monkeypatch.setattr("workers.train.Trainer._train", killed)
    with pytest.raises(Killed):
        train(job(folder=tmp_path))
    assert flight.read_charges(tmp_path / flight.PROGRESS) == ()


def test_a_loss_that_is_not_finite_is_a_failure_with_its_price():
    outcome = train(job(task=blobs(poisoned=True)))
    assert isinstance(outcome, Failure)
    assert outcome.reason == "training loss must be finite, got nan in epoch 1"
    assert total(outcome.charges).flops == 3 * STEP
    assert total(outcome.charges).epochs == 1


class Fragile(nn.Module):
    """Breaks in the given call of its forward pass."""

    def __init__(self, breaks_at):
        super().__init__()
        self.calls, self.breaks_at = 0, breaks_at

    def forward(self, h):
        self.calls += 1
        if self.calls == self.breaks_at:
            raise RuntimeError("too fragile")
        return h


class FragileSpace(Mlp):
    """Breaks in the second step of the second epoch: after three steps and a validation pass, and one step more."""

    def make_stem(self, width):
        return nn.Sequential(super().make_stem(width), Fragile(breaks_at=6))


class OutOfStorage(Mlp):
    def make_stem(self, width):
        raise OSError("no space left on device")


def at(attribute, **fields):
    return {**MLP, "family": f"tests.workers.test_train:{attribute}", **fields}


def test_an_exception_in_a_step_charges_exactly_the_steps_that_began():
    epochs = []
    outcome = train(job(space=at("FragileSpace")), lambda epoch, _: epochs.append(epoch.number))
    assert outcome.reason == "RuntimeError: too fragile"
    assert epochs == [1]
    paid = by_kind(outcome)
    assert paid[ChargeKind.TRAIN].flops == (3 + 2) * STEP
    assert paid[ChargeKind.VALIDATE].flops == VALIDATION * FORWARD
    assert paid[ChargeKind.TRAIN].epochs == 2
    assert paid[ChargeKind.TRAIN].device_us > 0


def test_trouble_with_storage_is_not_the_networks_fault():
    with pytest.raises(OSError, match="no space left"):
        train(job(space=at("OutOfStorage")))


def test_a_full_disk_is_told_from_a_network_that_breaks(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        flight.save_tensors(tmp_path / "weights.pt", {"weight": torch.zeros(2)})
    with pytest.raises(OSError, match="No space left"):
        train(job(folder=tmp_path))


def test_a_trial_that_would_exceed_its_grant_is_stopped_before_it_does():
    grant = 5 * STEP + VALIDATION * FORWARD
    outcome = train(job(max_flops=grant))
    assert outcome.reason == f"costs more than it was priced at: the grant of {grant} FLOPs is spent"
    assert total(outcome.charges).flops == grant


def test_the_grant_of_the_price_is_enough():
    shape = DataShape(input_shape=(4,), num_train=TRAIN, num_validation=VALIDATION)
    space = make_space(MLP, input_shape=(4,), num_classes=3)
    price = Pricer(space, shape).epoch_cost(Proposal(architecture=architecture()), TRAINING)
    outcome = train(job(max_flops=3 * price.flops))
    assert total(outcome.charges).flops == 3 * price.flops


def test_a_grant_of_device_time_stops_before_an_epoch_that_would_exceed_it(monkeypatch):
    # Every reading of the clock is a second later: four readings, so two seconds, per epoch.
    now = iter(range(1000))
    monkeypatch.setattr("workers.meter.time.perf_counter", lambda: float(next(now)))
    one = job(epochs=50)
    # After n epochs 2n s are spent and the next may take 2.5 s: 2n + 2.5 <= 9.4 holds up to n = 3.
    outcome = train(replace(one, max_device_us=9_400_000))
    assert outcome.epochs == 4
    assert total(outcome.charges).device_us == 8_000_000
    assert train(replace(one, max_device_us=1)).epochs == 1, "a trial that was started trains for an epoch"


def test_starts_from_the_weights_of_its_parent(tmp_path):
    train(job(folder=tmp_path / "parent"))
    frozen = replace(TRAINING, learning_rate=1e-12, weight_decay=0.0)
    child = job(
        proposal=Proposal(kind=Kind.CONTINUATION, architecture=architecture(), parent=0),
        training=frozen,
        seed=77,
        parent_folder=tmp_path / "parent",
        folder=tmp_path / "child",
    )
    train(child)
    parent, moved = weights(tmp_path / "parent"), weights(tmp_path / "child")
    for name in parent:
        torch.testing.assert_close(moved[name], parent[name], atol=1e-8, rtol=0)


def final(tmp_path, **fields):
    proposal = Proposal(kind=Kind.FINAL, architecture=architecture(), parent=0)
    return job(proposal=proposal, parent_folder=tmp_path / "parent", seed=8, **fields)


def test_a_final_trial_scores_the_retrained_and_the_delivered_network_on_test_data(tmp_path, monkeypatch):
    reads = []
    load_test = Blobs.load_test
    monkeypatch.setattr(Blobs, "load_test", lambda self: reads.append(1) or load_test(self))
    parent = train(job(folder=tmp_path / "parent", epochs=1))
    assert reads == []
    outcome = train(final(tmp_path, folder=tmp_path / "final"))
    assert reads == [1]
    retrained = train(job(seed=8, folder=tmp_path / "again"))
    assert outcome.metrics[SCORE] == retrained.metrics[SCORE]
    assert outcome.metrics["delivered_val_accuracy"] == parent.metrics[SCORE]
    test = load_test(Blobs())
    for name, folder in (("retrained", "again"), ("delivered", "parent")):
        network = make_space(MLP, input_shape=(4,), num_classes=3).build(architecture())
        network.load_state_dict(weights(tmp_path / folder))
        right = (network(test.x).argmax(1) == test.y).float().mean().item()
        assert outcome.metrics[f"{name}_test_accuracy"] == pytest.approx(right)
    paid = by_kind(outcome)
    assert paid[ChargeKind.TEST].flops == 2 * 9 * FORWARD
    assert paid[ChargeKind.TRAIN].flops == 9 * STEP
    assert not (tmp_path / "final" / flight.WEIGHTS).exists()


@pytest.mark.parametrize("name", PROPOSALS)
def test_a_search_trial_never_sees_test_data(name, monkeypatch):
    def forbidden(self):
        raise AssertionError("test data")

    monkeypatch.setattr("tests.workers.blobs.Blobs.load_test", forbidden)
    outcome = train(job(proposal=PROPOSALS[name], space={**MLP, "depth": [1, 2]}))
    assert isinstance(outcome, Measurement)
    assert not [metric for metric in outcome.metrics if "test" in metric]


def test_a_supernet_reports_its_profile_and_its_architectures():
    space = {**MLP, "depth": [1, 2]}
    epochs = []
    outcome = train(job(proposal=PROPOSALS["layer_select"], space=space), lambda epoch, _: epochs.append(epoch.profile))
    assert {one.depth for one in outcome.derived} == {1, 2}
    assert [len(profile) for profile in epochs] == [3, 3, 3]
    assert outcome.profile == epochs[-1]


def test_files_are_written_whole(tmp_path):
    train(job(folder=tmp_path, checkpoint_s=0.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        flight.CHECKPOINT, flight.KEPT, flight.PROGRESS, flight.WEIGHTS
    ]  # fmt: skip
    assert json.loads((tmp_path / flight.PROGRESS).read_text())


def test_every_optimizer_and_precision_trains():
    for options in (
        {"optimizer": "sgd", "momentum": 0.9},
        {"precision": "bfloat16"},
        {"clip_norm": 0.1, "label_smoothing": 0.1},
    ):
        outcome = train(job(training=Training(epochs=3, batch_size=BATCH, **options)))
        assert total(outcome.charges).flops == 3 * (3 * STEP + VALIDATION * FORWARD)
