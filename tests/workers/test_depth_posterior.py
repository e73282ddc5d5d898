"""Networks whose size follows their posterior: every step charged, the price an upper bound; and real trainings."""

import math
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from controllers.cost import total
from controllers.supernets import supernet_proposal
from controllers.trial import Measurement
from search_spaces import make_space
from search_spaces.readings import LEVEL_LOSS
from search_spaces.relaxations import make_relaxation
from tests.workers.blobs import TRAINING, blobs, job, train
from workers import train as training_loop
from workers.pricing import DataShape, Pricer
from workers.recipes import make_recipe
from workers.tasks import make_task
from workers.training import Training

SPACE = {"family": "mlp", "depth": {"min": 0, "max": 7}, "width": 8}
TRAIN, VALIDATION = 24, 11


def proposal(**fields):
    return supernet_proposal({"name": "depth_posterior", **fields})


def charged_and_counted(monkeypatch, one):
    """FLOPs that the ledger charges, those that one counter around the whole training sees, and the epochs."""
    monkeypatch.setattr(training_loop, "inference_flops", lambda *_: 0)  # which runs nothing
    epochs = []
    with FlopCounterMode(display=False) as counter:
        outcome = train(one, lambda epoch, _: epochs.append(epoch))
    assert isinstance(outcome, Measurement), outcome
    return total(outcome.charges).flops, counter.get_total_flops(), epochs


def price(one):
    space = make_space(one.space, input_shape=(4,), num_classes=3)
    shape = DataShape(input_shape=(4,), num_train=TRAIN, num_validation=VALIDATION)
    return Pricer(space, shape).epoch_cost(one.proposal, one.training).flops


@pytest.mark.parametrize(("start", "grows"), [(0.3, True), (6.0, False)])
def test_every_step_is_charged_at_the_size_that_it_had(monkeypatch, start, grows):
    # A prior that is far from the start, with few examples against it, moves the rate.
    fields = {"initial_nu": start, "prior_mean": 20.0 if grows else 0.05, "learning_rate_factor": 30.0}
    one = job(
        proposal=proposal(posterior="poisson", **fields),
        space=SPACE,
        task=blobs(train_size=TRAIN, validation_size=VALIDATION),
        training=TRAINING,
        epochs=6,
    )
    charged, counted, epochs = charged_and_counted(monkeypatch, one)
    assert charged == counted
    sizes = [len(epoch.profile) for epoch in epochs]
    assert len(set(sizes)) >= 3
    assert sizes == sorted(sizes, reverse=not grows)
    assert all(
        len(levels) == size for epoch, size in zip(epochs, sizes, strict=True) for levels in epoch.readings.values()
    )
    assert charged < price(one) * one.epochs


@pytest.mark.parametrize("fields", [{"posterior": "poisson", "initial_nu": 1000.0}, {}, {"bound": "marginal"}])
def test_the_price_is_what_the_deepest_network_costs(monkeypatch, fields):
    one = job(
        proposal=proposal(**fields),
        space=SPACE,
        task=blobs(train_size=TRAIN, validation_size=VALIDATION),
        training=replace(TRAINING, precision="bfloat16"),
        epochs=2,
    )
    charged, counted, epochs = charged_and_counted(monkeypatch, one)
    assert [len(epoch.profile) for epoch in epochs] == [8, 8]
    assert charged == counted == 2 * price(one)


def test_a_level_is_new_to_the_optimizer_when_it_is_first_used():
    """Its moments and its step count, which AdamW corrects them by, begin there; a level out of use has neither."""
    space = make_space(SPACE, input_shape=(4,), num_classes=3)
    network = make_relaxation({"name": "depth_posterior", "posterior": "poisson"}).supernet(space)
    network.begin(TRAIN)
    recipe = make_recipe("joint", network, {"architecture_learning_rate": 1e-6}, training=TRAINING, num_steps=5)
    batch = make_task(blobs()).load().train
    for nu in (0.2, 0.2, 1.0, 1.0, 0.2):  # 2, 2, 4, 4 and 2 depths
        with torch.no_grad():
            network.posterior.raw.fill_(math.log(math.expm1(nu)))
        network.constrain()
        recipe.step(batch, batch)
    state = recipe.standard.optimizer.state
    steps = [state[head.weight]["step"].item() if head.weight in state else 0 for head in network.heads.values()]
    assert steps == [5, 5, 2, 2, 0, 0, 0, 0]


def spiral(turns, max_depth, epochs, **fields):
    """The measurement of a network of width 8, trained on 1,024 points."""
    one = job(
        proposal=proposal(**fields),
        space={"family": "mlp", "depth": {"min": 0, "max": max_depth}, "width": 8},
        task={"name": "spiral", "turns": turns},
        training=Training(epochs=epochs, batch_size=64, weight_decay=0.0, schedule="constant"),
        epochs=epochs,
        seed=0,
    )
    return train(one)


def test_maximising_the_evidence_itself_collapses_to_one_depth():
    bound, evidence = (spiral(0.5, 4, 3, bound=bound) for bound in ("elbo", "marginal"))
    assert max(bound.profile) < 0.5
    assert max(evidence.profile) > 0.99
    # One depth answers well; the others are no better than guesses between two classes.
    best, *others = sorted(evidence.readings[LEVEL_LOSS])
    assert best < 0.3
    assert min(others) > 0.9 * math.log(2)
    assert max(bound.readings[LEVEL_LOSS]) < 0.3


def test_a_harder_task_gets_a_deeper_posterior():
    """Two turns of the spiral against half a turn; the rate learns as fast as the weights, to save time."""
    fields = {"posterior": "poisson", "prior_mean": 0.5, "learning_rate_factor": 1.0}
    easy, hard = (spiral(turns, 9, 40, **fields) for turns in (0.5, 2.0))
    means = [sum(level * q for level, q in enumerate(one.profile)) for one in (easy, hard)]
    assert means[1] > means[0] + 2
    assert min(one.metrics["val_accuracy"] for one in (easy, hard)) > 0.7
    assert easy.derived[0].depth < hard.derived[0].depth
