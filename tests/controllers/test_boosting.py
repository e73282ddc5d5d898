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


def paused(controller, number, *, epochs=9, schedule_epochs=20, **losses):
    """Tell the first member as a run does that could pay for 20 epochs."""
    proposal = replace(controller.ask(number), epochs=epochs, schedule_epochs=schedule_epochs)
    trial = scored(number, proposal, 0.5)
    metrics = {"val_accuracy": 0.5, "train_loss": 0.2, "val_loss": 0.2, **losses}
    controller.tell(replace(trial, measurement=replace(trial.measurement, epochs=epochs, metrics=metrics)))


def test_the_supernet_then_its_prefix_whose_training_goes_on_while_it_learns():
    controller = boosting(search_share=0.2, judged_at=0.3)
    supernet = controller.ask(0)
    assert (supernet.relaxation["name"], supernet.budget_share, supernet.keep) == ("elastic", 0.2, True)
    assert controller.ask(1) is None
    tell(controller, 0)
    assert controller.recommend() is None
    first = controller.ask(1)
    assert (first.architecture.depth, first.parent, first.inherits["blocks"]) == (4, 0, [1, 2, 3, 4])
    assert (first.epochs, first.budget_share, first.pause, first.keep) == (AS_LONG_AS_PAID, None, 0.3, True)
    assert controller.ask(2) is None
    paused(controller, 1, train_loss=0.14, val_loss=0.2)  # not below seven tenths
    assert controller.recommend() == 1
    rest = controller.ask(2)
    assert (rest.architecture.depth, rest.parent, rest.resumed_epochs) == (4, 1, 9)
    assert (rest.epochs, rest.schedule_epochs, rest.pause) == (20, 20, None)
    assert not rest.inherits, "it is the same training"
    tell(controller, 2, train_loss=0.0)
    assert controller.recommend() == 2
    with pytest.raises(SearchExhausted, match="the first member is trained"):
        controller.ask(3)


def test_a_training_of_one_epoch_has_nothing_to_go_on_with():
    controller = boosting(depth=2)
    paused(controller, 0, epochs=1, schedule_epochs=1)
    with pytest.raises(SearchExhausted, match="the first member is trained"):
        controller.ask(1)


@pytest.mark.parametrize(("loss", "goes_on"), [(0.277, True), (0.278, False)])
def test_one_that_is_still_near_a_guess_gets_members(loss, goes_on):
    """0.4 of ln 2 is 0.27726."""
    controller = boosting(depth=4)
    paused(controller, 0, train_loss=loss, val_loss=loss)
    following = controller.ask(1)
    assert following.resumed_epochs == 9 if goes_on else members(following) == (4, 1)


@pytest.mark.parametrize(("loss", "depth", "parent"), [(0.66, 2, None), (0.65, 4, 0)])
def test_a_supernet_that_only_guesses_has_no_say(loss, depth, parent):
    """0.95 of ln 2 is 0.6585; 2 is the geometric mean of 1 and 4."""
    controller = boosting()
    tell(controller, 0, level_loss=(0.1, 0.69, loss, 0.1, 0.69))
    first = controller.ask(1)
    assert (first.architecture.depth, first.parent, first.pause) == (depth, parent, 0.45)


def test_a_supernet_that_failed_has_none_either():
    controller = boosting()
    controller.tell(failed(0, controller.ask(0)))
    assert (controller.ask(1).architecture.depth, controller.ask(1).parent) == (2, None)


def test_new_members_on_one_that_memorises():
    controller = boosting(search_share=0.2, judged_at=0.3, num_members=2)
    tell(controller, 0)
    paused(controller, 1, train_loss=0.139, val_loss=0.2, temperature=2.25)
    second = controller.ask(2)
    assert (members(second), second.parent, second.inherits) == ((4, 1), 1, {"members": 1, "temperature": 1.5})
    assert second.budget_share == pytest.approx((1 - 0.2) * (1 - 0.3) / 2)
    assert (second.recipe, second.deliverable, second.keep) == ("standard", True, True)
    tell(controller, 2, score=0.4)
    third = controller.ask(3)
    assert third.inherits == {"members": 2, "temperature": 1.0}, "once is enough"
    assert (members(third), third.parent, third.budget_share) == ((4, 1, 1), 2, None)
    assert controller.recommend() == 2  # the sum, although the first alone scored more
    tell(controller, 3, score=0.3)
    assert controller.recommend() == 3
    with pytest.raises(SearchExhausted, match="all members are trained"):
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
    assert (first.epochs, first.pause, first.calibrate, first.keep) == (AS_LONG_AS_PAID, 0.45, True, True)


def test_a_member_that_fails_ends_the_search_but_not_the_run():
    controller = boosting(depth=2, member_depth=2, judged_at=0.25, num_members=3)
    tell(controller, 0, train_loss=0.0)
    assert members(controller.ask(1)) == (2, 2)
    assert controller.ask(1).budget_share == pytest.approx(0.75 / 3)
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
        ({"judged_at": 1.0}, "judged_at: must be less than 1, got 1.0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        boosting(**options)
