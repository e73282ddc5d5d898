"""Where the rungs lie, and what going from one to the next asks for."""

import pytest

from controllers.candidates import MAX_DRAWS, draw
from controllers.ladder import make_ladder
from controllers.trial import Proposal
from search_spaces.compose import enumerate_space
from search_spaces.errors import InvalidInput
from tests.controllers.toys import Product
from tests.controllers.trials import scored

SPACE = Product({"depth": range(1, 9)})


@pytest.mark.parametrize(
    ("min_epochs", "max_epochs", "reduction_factor", "rungs"),
    [
        (1, 9, 3, (1, 3, 9)),
        (1, 256, 4, (1, 4, 16, 64, 256)),
        (4, 256, 4, (4, 16, 64, 256)),
        (5, 256, 4, (16, 64, 256)),
        (1, 20, 3, (2, 6, 20)),
        (1, 12, 4, (3, 12)),
        (1, 3, 4, (3,)),
        (7, 7, 2, (7,)),
    ],
)
def test_rungs_are_counted_from_the_top(min_epochs, max_epochs, reduction_factor, rungs):
    ladder = make_ladder(min_epochs=min_epochs, max_epochs=max_epochs, reduction_factor=reduction_factor)
    assert ladder.epochs == rungs
    assert ladder.top == len(rungs) - 1


def test_there_must_be_a_rung():
    with pytest.raises(InvalidInput, match="must be at most max_epochs, 9, got 10") as caught:
        make_ladder(min_epochs=10, max_epochs=9, reduction_factor=3)
    assert caught.value.field == "min_epochs"


def test_a_promotion_goes_on_where_the_trial_stopped():
    ladder = make_ladder(min_epochs=1, max_epochs=9, reduction_factor=3)
    (architecture, *_) = enumerate_space(SPACE)
    start = ladder.start(architecture)
    assert start == Proposal(architecture=architecture, epochs=1, schedule_epochs=9, prunable=False)
    middle = ladder.promote(scored(5, start, 0.5))
    assert middle == Proposal(
        architecture=architecture, epochs=3, parent=5, resumed_epochs=1, schedule_epochs=9, prunable=False
    )
    top = ladder.promote(scored(8, middle, 0.5))
    assert (top.epochs, top.parent, top.resumed_epochs) == (9, 8, 3)
    assert [one.resumable for one in (start, middle, top)] == [True, True, False]


class Answers:
    """Stands in for a generator of random numbers: gives the answers that the test wants."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def integers(self, *_, **__):
        return self.answers.pop(0)


def test_a_candidate_that_was_tried_is_drawn_again():
    points = list(enumerate_space(SPACE))
    assert draw(SPACE, Answers(3, 3, 5), {points[3]}) == points[5]


def test_a_candidate_is_drawn_even_if_everything_was_tried():
    points = list(enumerate_space(SPACE))
    rng = Answers(*[0] * (MAX_DRAWS - 1), 7)
    assert draw(SPACE, rng, points) == points[7]
    assert rng.answers == []
