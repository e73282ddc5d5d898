"""The trials of boosting, in order, by hand."""

from dataclasses import replace

import pytest

from controllers import make_controller
from controllers.trial import AS_LONG_AS_PAID, Kind
from search_spaces import make_space
from search_spaces.compose import enumerate_space
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.readings import LEVEL_LOSS
from tests.controllers.trials import failed, scored

SPACE = make_space({"family": "mlp", "width": 4, "depth": [1, 2, 4]}, input_shape=(2,), num_classes=2)
DERIVED = [one for one in enumerate_space(SPACE) if one.depth == 4]


def boosting(**options):
    return make_controller("boosting", options, space=SPACE, seed=0)


LEARNED = (9.0, 0.6, 0.65, 9.0, 0.65)
"""Losses of levels 0..4, of which 1, 2 and 4 have heads; a guess of two classes costs 0.693."""


def tell(controller, number, *, train_loss=1.0, val_loss=1.0, score=0.5, level_loss=LEARNED, **others):
    proposal = controller.ask(number)
    is_supernet = number == 0 and proposal.relaxation
    of_levels = {"derived": DERIVED, "readings": {LEVEL_LOSS: level_loss}} if is_supernet else {}
    trial = scored(number, proposal, score, **of_levels)
    metrics = {"val_accuracy": score, "train_loss": train_loss, "val_loss": val_loss, **others}
    controller.tell(replace(trial, measurement=replace(trial.measurement, metrics=metrics)))


def members(proposal):
    return tuple(proposal.relaxation["depths"])


def test_the_supernet_then_its_prefix_which_is_trained_on_while_it_learns():
    controller = boosting(search_share=0.2, first_share=0.3, num_parts=2)
    supernet = controller.ask(0)
    assert (supernet.relaxation["name"], supernet.budget_share, supernet.keep) == ("elastic", 0.2, True)
    assert controller.ask(1) is None
    tell(controller, 0)
    assert controller.recommend() is None
    first = controller.ask(1)
    assert (first.architecture.depth, first.parent, first.inherits["blocks"]) == (4, 0, [1, 2, 3, 4])
    assert (first.epochs, first.budget_share, first.keep, first.calibrate) == (AS_LONG_AS_PAID, 0.3, True, True)
    assert controller.ask(2) is None
    tell(controller, 1, train_loss=0.5, val_loss=1.0)  # not below one half
    assert controller.recommend() == 1
    second = controller.ask(2)
    assert (second.architecture.depth, second.parent, second.inherits["blocks"]) == (4, 1, [1, 2, 3, 4])
    assert (second.epochs, second.keep, second.calibrate) == (AS_LONG_AS_PAID, True, True)
    assert second.budget_share == pytest.approx((1 - 0.2 - 0.3) / 2)
    tell(controller, 2, train_loss=0.4, val_loss=0.8)  # a fifth less than before: it still learns
    last = controller.ask(3)
    assert (last.architecture.depth, last.parent, last.budget_share) == (4, 2, None)
    tell(controller, 3)
    assert controller.recommend() == 3
    with pytest.raises(SearchExhausted, match="the budget's last part is spent"):
        controller.ask(4)


def test_one_that_is_stuck_gets_members_as_deep_as_itself():
    controller = boosting(depth=4, num_parts=3)
    tell(controller, 0, train_loss=1.0, val_loss=1.0)
    assert controller.ask(1).architecture.depth == 4
    tell(controller, 1, train_loss=1.0, val_loss=0.801, temperature=9.0)
    second = controller.ask(2)
    assert (members(second), second.parent, second.inherits) == ((4, 4), 1, {"members": 1, "temperature": 3.0})
    tell(controller, 2, train_loss=0.09, val_loss=0.2)
    assert members(controller.ask(3)) == (4, 4, 1), "it has memorised now"


@pytest.mark.parametrize(("loss", "depth", "parent"), [(0.66, 2, None), (0.65, 4, 0)])
def test_a_supernet_that_only_guesses_has_no_say(loss, depth, parent):
    """0.95 of ln 2 is 0.6585; 2 is the geometric mean of 1 and 4."""
    controller = boosting()
    tell(controller, 0, level_loss=(0.1, 0.69, loss, 0.1, 0.69))
    first = controller.ask(1)
    assert (first.architecture.depth, first.parent, first.budget_share) == (depth, parent, 0.4)


def test_a_supernet_that_failed_has_none_either():
    controller = boosting()
    controller.tell(failed(0, controller.ask(0)))
    assert (controller.ask(1).architecture.depth, controller.ask(1).parent) == (2, None)


def test_new_members_on_one_that_has_memorised():
    controller = boosting(search_share=0.2, first_share=0.3, num_parts=2)
    tell(controller, 0)
    tell(controller, 1, train_loss=0.49, val_loss=1.0, score=0.9, temperature=2.25)
    second = controller.ask(2)
    assert (members(second), second.parent, second.inherits) == ((4, 1), 1, {"members": 1, "temperature": 1.5})
    assert second.budget_share == pytest.approx((1 - 0.2 - 0.3) / 2)
    assert (second.recipe, second.deliverable, second.keep) == ("standard", True, True)
    tell(controller, 2, score=0.8)
    third = controller.ask(3)
    assert third.inherits == {"members": 2, "temperature": 1.0}, "once is enough"
    assert (members(third), third.parent) == ((4, 1, 4), 2), "what has members is never trained on"
    assert third.budget_share is None
    assert controller.recommend() == 2  # the sum, although the first alone scored more
    tell(controller, 3, score=0.7)
    assert controller.recommend() == 3
    with pytest.raises(SearchExhausted, match="the budget's last part is spent"):
        controller.ask(4)


@pytest.mark.parametrize(
    ("calibration", "temperature", "by"), [(0, 16.0, 1.0), (0.25, 16.0, 2.0), (1, 16.0, 16.0), (1, 0.5, 1.0)]
)
def test_a_first_member_is_softened_never_sharpened(calibration, temperature, by):
    controller = boosting(depth=2, calibration=calibration)
    tell(controller, 0, train_loss=0.0, temperature=temperature)
    assert controller.ask(1).inherits["temperature"] == by


def test_a_given_depth_is_not_searched():
    first = boosting(depth=2).ask(0)
    assert (first.kind, first.architecture.depth, first.parent) == (Kind.ARCHITECTURE, 2, None)
    assert (first.epochs, first.budget_share, first.keep) == (AS_LONG_AS_PAID, 0.4, True)


def test_a_member_that_fails_ends_the_search_but_not_the_run():
    controller = boosting(depth=2, member_depth=2, num_parts=3)
    tell(controller, 0, train_loss=0.0)
    assert members(controller.ask(1)) == (2, 2)
    assert controller.ask(1).budget_share == pytest.approx(0.6 / 3)
    controller.tell(failed(1, controller.ask(1)))
    with pytest.raises(SearchExhausted, match="trial 1 failed"):
        controller.ask(2)
    assert controller.recommend() == 0


def test_without_a_first_member_there_is_nothing():
    controller = boosting(depth=2)
    controller.tell(failed(0, controller.ask(0)))
    with pytest.raises(SearchExhausted, match="trial 0 failed"):
        controller.ask(1)
    assert controller.recommend() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 3}, r"depth: must be among the space's depths .*, got \[3\]"),
        ({"member_depth": 8}, r"member_depth: must be among the space's depths .*, got \[8\]"),
        ({"search_share": 0.5, "first_share": 0.5}, "first_share: with search_share must leave something, got 0.5"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        boosting(**options)
