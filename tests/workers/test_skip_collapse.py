"""DARTS's collapse to paths without weights, on real training, and what mends it.

Shallow levels learn first. An architecture that moves from the start, and fast, settles on the shallowest exits of a
mixture of depths, although deeper chains are far better once trained.
"""

from statistics import fmean

import pytest

from controllers.supernets import supernet_proposal
from controllers.trial import SCORE, Proposal
from tests.workers.blobs import architecture, job, train
from workers.training import Training

TASK = {"name": "spiral", "turns": 1.5, "train_size": 512, "validation_size": 256}
SPACE = {"family": "mlp", "depth": {"min": 0, "max": 6}, "width": 16}
TRAINING = Training(epochs=24, batch_size=64)
SEARCH_EPOCHS, WARMUP_EPOCHS = 6, 12
SEEDS = (0, 1)


def derived_depth(seed, *, epochs=SEARCH_EPOCHS, **options):
    proposal = supernet_proposal({"name": "darts", "architecture_learning_rate": 0.1, **options})
    outcome = train(job(proposal=proposal, space=SPACE, task=TASK, training=TRAINING, epochs=epochs, seed=seed))
    return outcome.derived[0].depth


def test_two_layers_are_worth_more_than_one():
    def accuracy(depth):
        proposal = Proposal(architecture=architecture(depth, options=SPACE, input_shape=(2,), num_classes=2))
        trials = [job(proposal=proposal, space=SPACE, task=TASK, training=TRAINING, epochs=24, seed=s) for s in SEEDS]
        return fmean(train(one).metrics[SCORE] for one in trials)

    assert accuracy(2) > accuracy(1) + 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_depth_collapses_when_the_architecture_moves_first(seed):
    assert derived_depth(seed) <= 1
    assert derived_depth(seed, order="second") <= 1, "the second order does not help"


@pytest.mark.parametrize("seed", SEEDS)
def test_warm_up_mends_it(seed):
    assert derived_depth(seed, epochs=WARMUP_EPOCHS + SEARCH_EPOCHS, warmup_epochs=WARMUP_EPOCHS) >= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_target_for_the_expected_flops_mends_it(seed):
    assert derived_depth(seed, flops_target=0.7) >= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_early_stopping_keeps_the_collapse(seed):
    """It freezes what a longer search would have left again."""
    assert derived_depth(seed, epochs=24, max_skips=4) <= 1
