"""One-shot search: the supernet first, then what it derives."""

from dataclasses import replace

import pytest

from controllers import CONTROLLERS, make_controller
from controllers.one_shot import OneShot
from controllers.trial import AS_LONG_AS_PAID, Kind, Measurement, Status, Trial
from search_spaces import make_space
from search_spaces.compose import enumerate_space
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.relaxations import RELAXATIONS, make_relaxation

SPACE = make_space({"family": "mlp", "depth": [1, 2, 3], "width": 8}, input_shape=(2,), num_classes=2)
RANKED = tuple(reversed(list(enumerate_space(SPACE))))


def trial(number, proposal, *, derived=(), status=Status.COMPLETE, reason=""):
    measurement = Measurement(
        metrics={"val_accuracy": 0.5}, charges=(), epochs=1, num_parameters=1, inference_flops=1, derived=derived
    )
    failed = status is Status.FAILED
    return Trial(
        number=number,
        proposal=proposal,
        epochs=1,
        seed=0,
        status=status,
        measurement=None if failed else measurement,
        reason=reason,
    )


def searched(controller, **supernet):
    controller.tell(trial(0, controller.ask(0), **supernet))
    return controller


@pytest.mark.parametrize("method", RELAXATIONS)
def test_every_relaxation_is_a_method(method):
    assert CONTROLLERS[method] is OneShot
    proposal = make_controller(method, {"search_share": 0.2}, space=SPACE, seed=0).ask(0)
    assert proposal.kind is Kind.RELAXATION
    assert proposal.architecture is None
    assert (proposal.epochs, proposal.min_epochs, proposal.budget_share) == (AS_LONG_AS_PAID, 1, 0.2)
    assert not proposal.prunable
    relaxation = make_relaxation(proposal.relaxation)
    assert isinstance(relaxation, RELAXATIONS[method])
    assert proposal.recipe == relaxation.recipe
    assert proposal.recipe_options == relaxation.recipe_options()


def test_options_reach_the_relaxation():
    proposal = make_controller("darts", {"order": "second", "derive_top": 2}, space=SPACE, seed=0).ask(0)
    assert proposal.relaxation["order"] == "second"
    assert proposal.recipe_options["order"] == "second"
    assert proposal.budget_share == 0.3


def test_waits_for_the_supernet_then_trains_what_it_derived_in_order():
    controller = make_controller("darts", {}, space=SPACE, seed=0)
    supernet = controller.ask(0)
    assert controller.ask(1) is None
    controller.tell(trial(0, supernet, derived=RANKED))
    proposals = [controller.ask(number) for number in (1, 2, 3)]
    assert [proposal.architecture.depth for proposal in proposals] == [3, 2, 1]
    for proposal in proposals:
        assert (proposal.kind, proposal.recipe) == (Kind.ARCHITECTURE, "standard")
        assert (proposal.epochs, proposal.min_epochs) == (None, 1)
    with pytest.raises(SearchExhausted, match="all 3 derived architectures are trained"):
        controller.ask(4)


def test_later_trials_change_nothing():
    controller = searched(make_controller("darts", {}, space=SPACE, seed=0), derived=RANKED)
    second = controller.ask(2)
    for number, status in [(2, Status.COMPLETE), (1, Status.FAILED), (3, Status.PRUNED)]:
        controller.tell(trial(number, controller.ask(number), status=status))
    assert controller.ask(2) == second


def test_derive_top_limits_the_architectures():
    controller = searched(make_controller("layer_select", {"derive_top": 1}, space=SPACE, seed=0), derived=RANKED)
    assert controller.ask(1).architecture == RANKED[0]
    with pytest.raises(SearchExhausted, match="all 1 derived"):
        controller.ask(2)


def test_derived_architectures_may_start_from_the_supernet_and_take_all_that_is_left():
    options = {"derived_start": "supernet", "derived_epochs": "all"}
    controller = make_controller("elastic", options, space=SPACE, seed=0)
    supernet = controller.ask(0)
    assert supernet.keep
    controller.tell(trial(0, supernet, derived=RANKED))
    heir = controller.ask(1)
    assert (heir.epochs, heir.min_epochs, heir.parent) == (AS_LONG_AS_PAID, 1, 0)
    assert heir.inherits == {"blocks": [1, 2, 3], "new_blocks": "random"}
    with pytest.raises(InvalidInput, match="darts has no weights that another network could start from"):
        make_controller("darts", options, space=SPACE, seed=0)


def test_a_supernet_may_be_what_is_delivered():
    controller = make_controller("elastic", {"deliver": "supernet"}, space=SPACE, seed=0)
    supernet = controller.ask(0)
    assert (supernet.deliverable, supernet.choosable, supernet.budget_share) == (True, True, None)
    controller.tell(trial(0, supernet, derived=RANKED))
    with pytest.raises(SearchExhausted, match="the supernet is trained"):
        controller.ask(1)


def test_a_relaxation_of_ones_own_is_a_method_by_its_import_path():
    path, options = "search_spaces.relaxations.elastic:Elastic", {"deliver": "supernet", "drop_rate": 0.5}
    proposal = make_controller(path, options, space=SPACE, seed=0).ask(0)
    assert proposal.relaxation["name"] == path
    named = make_controller("elastic", options, space=SPACE, seed=0).ask(0)
    assert replace(proposal, relaxation={**proposal.relaxation, "name": "elastic"}) == named


def test_a_failed_supernet_ends_the_search_with_its_reason():
    controller = make_controller("darts", {}, space=SPACE, seed=0)
    searched(controller, status=Status.FAILED, reason="training loss must be finite, got nan")
    with pytest.raises(SearchExhausted, match="the supernet failed: training loss must be finite, got nan"):
        controller.ask(1)


@pytest.mark.parametrize(
    ("method", "options", "field"),
    [
        ("darts", {"ordr": "second"}, "ordr"),
        ("darts", {"order": "third"}, "order"),
        ("darts", {"name": "layer_select"}, "name"),
        ("darts", {"search_share": 1.0}, "search_share"),
        ("layer_select", {"derive_top": 0}, "derive_top"),
        ("layer_select", {"initial_k": 4}, "initial_k"),
    ],
)
def test_bad_options_are_refused_by_name(method, options, field):
    with pytest.raises(InvalidInput) as caught:
        make_controller(method, options, space=SPACE, seed=0)
    assert caught.value.field == field


def test_a_space_that_cannot_be_relaxed_is_refused_at_once():
    wide = make_space({"family": "mlp", "depth": [1, 2], "width": [8, 16]}, input_shape=(2,), num_classes=2)
    with pytest.raises(InvalidInput, match=r"space\.width must be a single width, got \[8, 16\]"):
        make_controller("darts", {}, space=wide, seed=0)
