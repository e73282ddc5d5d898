"""Rounds of AdaNet: candidates, the objective that decides, and the end, by hand."""

from dataclasses import replace

import pytest

from controllers import make_controller
from controllers.trial import Kind
from search_spaces import make_space
from search_spaces.errors import SearchExhausted
from tests.controllers.trials import failed, scored

SPACE = make_space({"family": "mlp", "width": 4, "depth": [1, 2, 4]}, input_shape=(2,), num_classes=2)


def adanet(**options):
    return make_controller("adanet", options, space=SPACE, seed=0, trial_epochs=20)


def tell(controller, number, *, loss, profile):
    trial = scored(number, controller.ask(number), 0.5)
    measurement = replace(trial.measurement, metrics={"val_accuracy": 0.5, "val_loss": loss}, profile=profile)
    controller.tell(replace(trial, measurement=measurement))


def members(proposal):
    return tuple(proposal.relaxation["depths"])


def test_a_round_has_two_candidates_that_start_from_the_best_ensemble():
    controller = adanet()
    first = controller.ask(0)
    assert (first.kind, members(first), first.parent, first.inherits, first.epochs) == (
        Kind.RELAXATION,
        (1,),
        None,
        {},
        20,
    )
    assert controller.ask(1) is None
    tell(controller, 0, loss=1.0, profile=(0, 1))
    candidates = [controller.ask(1), controller.ask(2)]
    assert [members(one) for one in candidates] == [(1, 1), (1, 2)]
    assert all((one.parent, one.inherits, one.deliverable) == (0, {"members": 1}, True) for one in candidates)
    tell(controller, 1, loss=0.9, profile=(0, 2))
    assert controller.ask(3) is None
    tell(controller, 2, loss=0.8, profile=(0, 1, 1))
    candidates = [controller.ask(3), controller.ask(4)]
    assert [members(one) for one in candidates] == [(1, 2, 2), (1, 2, 4)]
    assert {one.parent for one in candidates} == {2}


def test_complexity_counts():
    """Losses 0.90 and 0.89, but a member of depth 2 costs 0.1 * 0.414 more than one of depth 1."""
    controller = adanet(complexity=0.1, sparsity=0.0)
    tell(controller, 0, loss=1.2, profile=(0, 1))
    tell(controller, 1, loss=0.90, profile=(0, 2))
    tell(controller, 2, loss=0.89, profile=(0, 1, 1))
    assert members(controller.ask(3)) == (1, 1, 1)


def test_the_ensemble_is_complete_when_a_round_brings_nothing():
    controller = adanet(complexity=0.0, sparsity=0.0)
    tell(controller, 0, loss=1.0, profile=(0, 1))
    tell(controller, 1, loss=1.0, profile=(0, 2))
    controller.tell(failed(2, controller.ask(2)))
    with pytest.raises(SearchExhausted, match="round 1 brought no better ensemble"):
        controller.ask(3)
