"""Successive halving against traces worked out by hand."""

import pytest

from controllers import make_controller
from controllers.trial import Status
from search_spaces.errors import InvalidInput
from tests.controllers.toys import Landscape
from tests.controllers.trials import failed, running, scored

SCORES = (0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.4, 0.5, 0.6)
"""Of the nine candidates of a bracket. The best three are numbers 1, 3 and 5."""


def make(**options):
    return make_controller("successive_halving", options, space=Landscape(), seed=0, trial_epochs=9)


def asked(proposal):
    return proposal.epochs, proposal.parent, proposal.resumed_epochs


def search(controller, scores, *, start=0):
    """Ask and tell in turn; what was asked. A score of None is a failure."""
    proposals = []
    for number, score in enumerate(scores, start=start):
        proposals.append(controller.ask(number))
        trial = failed(number, proposals[-1]) if score is None else scored(number, proposals[-1], score)
        controller.tell(trial)
    return proposals


def test_nine_three_one():
    controller = make()
    assert controller.rungs == ((9, 1), (3, 3), (1, 9))
    # The best on a rung is who goes on: number 10, although its parent was not the best.
    proposals = search(controller, [*SCORES, 0.5, 0.95, 0.6, 0.97])
    assert [asked(one) for one in proposals] == [
        *[(1, None, 0)] * 9,
        *[(3, 1, 1), (3, 3, 1), (3, 5, 1)],
        (9, 10, 3),
    ]
    for child, parent in ((9, 1), (10, 3), (11, 5), (12, 3)):
        assert proposals[child].architecture == proposals[parent].architecture
    assert {one.schedule_epochs for one in proposals} == {9}
    assert not any(one.prunable for one in proposals)


def test_brackets_repeat_with_new_candidates():
    controller = make()
    first = search(controller, [*SCORES, 0.5, 0.95, 0.6, 0.97])
    second = search(controller, [*SCORES, 0.5, 0.95, 0.6, 0.97], start=13)
    assert [one.epochs for one in second] == [one.epochs for one in first]
    assert [one.parent for one in second[9:]] == [13 + 1, 13 + 3, 13 + 5, 13 + 10]
    assert len({one.architecture for one in (*first, *second)}) == 18


def test_waits_for_the_last_of_a_rung():
    controller = make()
    trials = [running(number, controller.ask(number)) for number in range(9)]
    assert controller.ask(9, trials) is None
    for number in (4, 8, 0, 2, 7, 1, 6, 3):
        controller.tell(scored(number, trials[number].proposal, SCORES[number]))
    assert controller.ask(9, [trials[5]]) is None
    controller.tell(scored(5, trials[5].proposal, SCORES[5]))
    promoted = [running(9, controller.ask(9))]
    promoted += [running(10, controller.ask(10, promoted))]
    promoted += [running(11, controller.ask(11, promoted))]
    assert [one.proposal.parent for one in promoted] == [1, 3, 5]
    assert controller.ask(12, promoted) is None


def test_a_failure_is_never_promoted_and_keeps_its_place():
    controller = make()
    scores = [None if number == 1 else score for number, score in enumerate(SCORES)]
    proposals = search(controller, [*scores, 0.5, None, 0.4, 0.5])
    assert [asked(one) for one in proposals[9:]] == [(3, 3, 1), (3, 5, 1), (3, 8, 1), (9, 9, 3)]


def test_places_that_nobody_can_take_stay_empty():
    controller = make()
    scores = [score if number in (2, 4) else None for number, score in enumerate(SCORES)]
    proposals = search(controller, [*scores, 0.1, 0.2, 0.3, 0.5])
    assert [asked(one) for one in proposals[9:]] == [(3, 2, 1), (3, 4, 1), (9, 10, 3), (1, None, 0)]


def test_a_bracket_in_which_everything_fails_is_over():
    assert [asked(one) for one in search(make(), [None] * 9 + [0.5])[9:]] == [(1, None, 0)]
    # 9 candidates, then the 3 on the next rung fail.
    assert [asked(one) for one in search(make(), [*SCORES, None, None, None, 0.5])[12:]] == [(1, None, 0)]


def test_what_stopped_early_has_no_checkpoint_to_go_on_from():
    controller = make(num_candidates=3, min_epochs=3)
    for number, (score, status) in enumerate([(0.9, Status.PRUNED), (0.1, Status.COMPLETE), (0.2, Status.COMPLETE)]):
        controller.tell(scored(number, controller.ask(number), score, status=status))
    assert controller.ask(3).parent == 2


def test_the_first_of_equals_goes_on_whoever_came_back_first():
    controller = make(num_candidates=3, min_epochs=3)
    trials = [running(number, controller.ask(number)) for number in range(3)]
    for number in (2, 1, 0):
        controller.tell(scored(number, trials[number].proposal, 0.5))
    assert controller.ask(3).parent == 0


@pytest.mark.parametrize(
    ("options", "rungs"),
    [
        ({"max_epochs": 27}, ((27, 1), (9, 3), (3, 9), (1, 27))),
        ({"num_candidates": 20}, ((20, 1), (6, 3), (2, 9))),
        ({"num_candidates": 4}, ((4, 1), (1, 3), (1, 9))),
        ({"reduction_factor": 2, "min_epochs": 2}, ((4, 2), (2, 4), (1, 9))),
        ({"min_epochs": 9}, ((1, 9),)),
    ],
)
def test_places_and_epochs(options, rungs):
    assert make(**options).rungs == rungs


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"min_epochs": 10}, "min_epochs"),
        ({"reduction_factor": 1}, "reduction_factor"),
        ({"sampler": "psychic"}, "sampler"),
        ({"trial_epochs": 3}, "trial_epochs"),
    ],
)
def test_what_cannot_be_is_refused(options, field):
    with pytest.raises(InvalidInput) as caught:
        make(**options)
    assert caught.value.field == field
