"""The rounds of magnitude pruning and of the lottery-ticket procedure, by hand."""

import pytest

from controllers import make_controller
from controllers.trial import AS_LONG_AS_PAID, Kind
from search_spaces import make_space
from search_spaces.errors import InvalidInput, SearchExhausted
from tests.controllers.trials import failed, scored

SPACE = make_space({"family": "mlp", "width": 4, "depth": [1, 2, 4]}, input_shape=(2,), num_classes=2)


def make(method="lottery_ticket", **options):
    return make_controller(method, options, space=SPACE, seed=0)


def tell(controller, number, score):
    controller.tell(scored(number, controller.ask(number), score))


def test_rounds_inherit_from_each_other_and_share_the_budget():
    controller = make(num_rounds=3, rate=0.3, output_rate=0.2, scope="global")
    dense = controller.ask(0)
    assert (dense.kind, dense.parent, dense.inherits) == (Kind.RELAXATION, None, {})
    assert (dense.epochs, dense.budget_share, dense.keep, dense.deliverable) == (AS_LONG_AS_PAID, 0.25, True, True)
    assert controller.ask(1) is None
    for number in (1, 2, 3):
        tell(controller, number - 1, 0.5)
        one = controller.ask(number)
        assert (one.parent, one.relaxation, one.budget_share) == (number - 1, dense.relaxation, 0.25)
        assert one.inherits == {"rate": 0.3, "output_rate": 0.2, "scope": "global"}
    tell(controller, 3, 0.5)
    with pytest.raises(SearchExhausted, match="all 3 rounds are trained"):
        controller.ask(4)


@pytest.mark.parametrize(
    ("method", "options", "start"),
    [
        ("magnitude_pruning", {}, "trained"),
        ("lottery_ticket", {}, "initial"),
        ("lottery_ticket", {"start": "random"}, "random"),
    ],
)
def test_where_a_round_starts(method, options, start):
    assert make(method, **options).ask(0).relaxation == {"name": "pruned", "architecture": {}, "start": start}


@pytest.mark.parametrize(
    ("scores", "best"), [([0.5, 0.7, 0.5, 0.4], 2), ([0.5, 0.4, 0.3, 0.4], 0), ([0.5, 0.4, 0.4, 0.5], 3), ([0.5], 0)]
)
def test_the_sparsest_round_that_is_no_less_accurate_is_delivered(scores, best):
    controller = make(num_rounds=3)
    assert controller.recommend() is None
    for number, score in enumerate(scores):
        tell(controller, number, score)
    assert controller.recommend() == best


def test_a_round_that_fails_is_the_last():
    controller = make()
    tell(controller, 0, 0.5)
    controller.tell(failed(1, controller.ask(1)))
    with pytest.raises(SearchExhausted, match="round 1 failed: broke on purpose"):
        controller.ask(2)
    assert controller.recommend() == 0
    broken = make()
    broken.tell(failed(0, broken.ask(0)))
    with pytest.raises(SearchExhausted, match="round 0 failed"):
        broken.ask(1)
    assert broken.recommend() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": {"depth": 3}}, r"architecture: depth must be one of \[1, 2, 4\], got 3"),
        ({"rate": 1.0}, "rate: .*less than 1"),
        ({"start": "trained"}, "start: .*'initial' or 'random'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        make(**options)
