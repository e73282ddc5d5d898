"""The trials of boosting, in order, by hand."""

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


def members(proposal):
    return tuple(proposal.relaxation["depths"])


def test_the_supernet_then_its_prefix_then_members_on_top():
    controller = boosting(search_share=0.2, first_share=0.3, num_boosters=2)
    supernet = controller.ask(0)
    assert (supernet.relaxation["name"], supernet.budget_share, supernet.keep) == ("elastic", 0.2, True)
    assert controller.ask(1) is None
    controller.tell(scored(0, supernet, 0.5, derived=DERIVED))
    assert controller.recommend() is None
    first = controller.ask(1)
    assert (first.architecture.depth, first.parent, first.inherits["blocks"]) == (4, 0, [1, 2, 3, 4])
    assert (first.epochs, first.budget_share, first.keep) == (AS_LONG_AS_PAID, 0.3, True)
    assert controller.ask(2) is None
    controller.tell(scored(1, first, 0.9))
    second = controller.ask(2)
    assert (members(second), second.parent, second.inherits) == ((4, 1), 1, {"members": 1})
    assert second.budget_share == pytest.approx((1 - 0.2 - 0.3) / 2)
    assert second.deliverable
    assert second.recipe == "standard"
    controller.tell(scored(2, second, 0.8))
    third = controller.ask(3)
    assert (members(third), third.parent, third.inherits) == ((4, 1, 1), 2, {"members": 2})
    assert third.budget_share is None
    assert controller.recommend() == 2  # the sum of all, although the first alone scored more
    controller.tell(scored(3, third, 0.7))
    assert controller.recommend() == 3
    with pytest.raises(SearchExhausted, match="all 2 boosters are trained"):
        controller.ask(4)


def test_a_given_depth_is_not_searched():
    controller = boosting(depth=2, booster_depth=2, first_share=0.4, num_boosters=1)
    first = controller.ask(0)
    assert (first.kind, first.architecture.depth, first.parent) == (Kind.ARCHITECTURE, 2, None)
    assert (first.epochs, first.budget_share, first.keep) == (AS_LONG_AS_PAID, 0.4, True)
    controller.tell(scored(0, first, 0.5))
    assert members(controller.ask(1)) == (2, 2)


def test_a_member_that_fails_ends_the_search_but_not_the_run():
    controller = boosting(depth=2, num_boosters=3)
    controller.tell(scored(0, controller.ask(0), 0.5))
    controller.tell(failed(1, controller.ask(1)))
    with pytest.raises(SearchExhausted, match="member 2 failed"):
        controller.ask(2)
    assert controller.recommend() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 3}, r"depth: must be among the space's depths .*, got \[3\]"),
        ({"booster_depth": 8}, r"booster_depth: must be among the space's depths .*, got \[8\]"),
        ({"search_share": 0.5, "first_share": 0.5}, "first_share: and search_share must leave something, got 0.5"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        boosting(**options)
