"""The trials of boosting, in order, by hand."""

from dataclasses import replace

import pytest

from controllers import make_controller
from controllers.trial import AS_LONG_AS_PAID, Kind
from search_spaces import make_space
from search_spaces.compose import enumerate_space
from search_spaces.errors import InvalidInput, SearchExhausted
from tests.controllers.trials import failed, scored

SPACE = make_space({"family": "mlp", "width": 4, "depth": [1, 2, 4]}, input_shape=(2,), num_classes=2)
DERIVED = [one for one in enumerate_space(SPACE) if one.depth == 4]


def boosting(**options):
    return make_controller("boosting", options, space=SPACE, seed=0)


def tell(controller, number, *, loss=1.0):
    proposal = controller.ask(number)
    trial = scored(number, proposal, 0.5, derived=DERIVED if number == 0 and proposal.relaxation else ())
    measurement = replace(trial.measurement, metrics={"val_accuracy": 0.5, "val_loss": loss})
    controller.tell(replace(trial, measurement=measurement))


def members(proposal):
    return tuple(proposal.relaxation["depths"])


def test_the_supernet_then_its_prefix_then_two_rivals_that_start_from_it():
    controller = boosting(search_share=0.2, first_share=0.3, rival_share=0.1)
    supernet = controller.ask(0)
    assert (supernet.relaxation["name"], supernet.budget_share, supernet.keep) == ("elastic", 0.2, True)
    assert controller.ask(1) is None
    tell(controller, 0)
    assert controller.recommend() is None
    first = controller.ask(1)
    assert (first.architecture.depth, first.parent, first.inherits["blocks"]) == (4, 0, [1, 2, 3, 4])
    assert (first.epochs, first.budget_share, first.keep) == (AS_LONG_AS_PAID, 0.3, True)
    assert controller.ask(2) is None
    tell(controller, 1)
    assert controller.recommend() == 1
    longer, wider = controller.ask(2), controller.ask(3)
    assert (longer.architecture.depth, longer.parent, longer.inherits["blocks"]) == (4, 1, [1, 2, 3, 4])
    assert (members(wider), wider.parent, wider.inherits, wider.recipe) == ((4, 1), 1, {"members": 1}, "standard")
    assert all((one.budget_share, one.keep, one.choosable) == (0.1, True, True) for one in (longer, wider))
    assert controller.ask(4) is None


def test_the_better_sum_gets_one_more_member():
    controller = boosting(depth=2, member_depth=2)
    tell(controller, 0)
    tell(controller, 1, loss=0.9)
    assert controller.ask(3) is None
    tell(controller, 2, loss=0.8)
    assert controller.recommend() == 2
    last = controller.ask(3)
    assert (members(last), last.parent, last.inherits, last.budget_share) == ((2, 2, 2), 2, {"members": 2}, None)
    tell(controller, 3, loss=2.0)
    assert controller.recommend() == 3
    with pytest.raises(SearchExhausted, match="the better rival has got the rest"):
        controller.ask(4)


def test_the_better_network_is_trained_on():
    controller = boosting(depth=2)
    tell(controller, 0)
    tell(controller, 2, loss=0.8)  # rivals may end in any order
    assert controller.ask(3) is None
    tell(controller, 1, loss=0.8)  # as good, and smaller
    last = controller.ask(3)
    assert (last.architecture.depth, last.parent, last.inherits["blocks"]) == (2, 1, [1, 2])
    assert (last.epochs, last.budget_share) == (AS_LONG_AS_PAID, None)
    controller.tell(failed(3, last))
    assert controller.recommend() == 1


def test_a_given_depth_is_not_searched():
    first = boosting(depth=2).ask(0)
    assert (first.kind, first.architecture.depth, first.parent) == (Kind.ARCHITECTURE, 2, None)
    assert (first.epochs, first.budget_share, first.keep) == (AS_LONG_AS_PAID, 0.3, True)


def test_one_rival_that_fails_leaves_the_other():
    controller = boosting(depth=2)
    tell(controller, 0)
    controller.tell(failed(1, controller.ask(1)))
    tell(controller, 2)
    assert members(controller.ask(3)) == (2, 1, 1)


def test_without_rivals_the_run_holds_the_first_member():
    controller = boosting(depth=2)
    tell(controller, 0)
    controller.tell(failed(1, controller.ask(1)))
    controller.tell(failed(2, controller.ask(2)))
    with pytest.raises(SearchExhausted, match="both rivals failed"):
        controller.ask(3)
    assert controller.recommend() == 0


def test_without_a_first_member_there_is_nothing():
    controller = boosting(depth=2)
    controller.tell(failed(0, controller.ask(0)))
    with pytest.raises(SearchExhausted, match="the first member failed"):
        controller.ask(1)
    assert controller.recommend() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 3}, r"depth: must be among the space's depths .*, got \[3\]"),
        ({"member_depth": 8}, r"member_depth: must be among the space's depths .*, got \[8\]"),
        ({"search_share": 0.5, "first_share": 0.4}, "rival_share: with search_share, .* must be at most 1, got 1.1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        boosting(**options)
