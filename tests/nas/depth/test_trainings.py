"""What counts as an ordinary training of a depth."""

import pytest

from controllers.trial import Kind
from tests.nas.depth.stored import EPOCHS, Net, Run, grid

FINAL = {"kind": Kind.FINAL, "parent": 0}
CONTINUATION = {"kind": Kind.CONTINUATION, "parent": 0}


def only(answered, *trials):
    """Depths that count, with their means."""
    return answered([Run(label="grid", seed=0, trials=trials)]).trainings.means


@pytest.mark.parametrize(
    "other",
    [
        Net(depth=2, score=0.9, epochs=EPOCHS - 1),
        Net(depth=2, score=0.9, epochs=EPOCHS + 1),
        Net(depth=2, score=0.9, status="pruned"),
        Net(depth=2, score=None),
        Net(depth=2, score=0.9, proposal=FINAL),
        Net(depth=2, score=0.9, proposal=CONTINUATION),
        Net(depth=2, score=0.9, proposal={"recipe": "bilevel"}),
        Net(depth=2, score=0.9, proposal={"recipe_options": {"heads": 2}}),
        Net(depth=2, score=0.9, proposal={"parent": 0}),
        Net(depth=2, score=0.9, proposal={"parent": 0, "inherits": {"prefix": 2}}),
        Net(depth=2, score=0.9, proposal={"schedule_epochs": EPOCHS + 1}),
        Net(depth=2, score=0.9, reused_from=0),
    ],
    ids=str,
)
def test_nothing_else_counts(answered, other):
    assert only(answered, Net(depth=1, score=0.5), other) == {1: 0.5}


def test_a_training_that_goes_on_where_it_stopped_is_the_longer_one(answered):
    rung = {"schedule_epochs": EPOCHS}
    first = Net(depth=2, score=0.3, epochs=1, proposal=rung)
    second = Net(depth=2, score=0.7, seed=0, proposal={**rung, "parent": 0, "resumed_epochs": 1})
    assert only(answered, first, second) == {2: 0.7}


def test_one_training_that_two_methods_made_is_one(answered):
    """Their first trials have one seed; that of the second is of another training."""
    twice = [Run(label=label, seed=0, trials=[Net(depth=2, score=0.4)]) for label in ("grid", "random")]
    other = Run(label="evolution", seed=0, trials=[Net(depth=1, score=0.1), Net(depth=2, score=0.8)])
    trained = answered([*twice, other]).trainings.depths[2]
    assert (trained.num_trainings, dict(trained.by_seed)) == (2, {0: pytest.approx(0.6)})


def test_a_seed_counts_once_however_often_it_trained_a_depth(answered):
    """Seed 0: .4 and .8; seed 1: .2. Mean of .6 and .2, not of three numbers."""
    often = Run(label="random", seed=0, trials=[Net(depth=2, score=0.4), Net(depth=2, score=0.8)])
    trained = answered([often, grid(1, {2: 0.2})]).trainings.depths[2]
    assert trained.accuracy.value == pytest.approx(0.4)
    assert trained.error == pytest.approx(0.2)


def test_of_equal_depths_the_shallowest_is_best(answered):
    trainings = answered([grid(0, {3: 0.7, 2: 0.7, 1: 0.6})]).trainings
    assert (trainings.best, trainings.tied, trainings.depths[2].error) == (2, (2, 3), None)
