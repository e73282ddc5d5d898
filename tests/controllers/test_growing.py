"""Networks that grow: which blocks a stage inherits, and when growing stops, by hand."""

import pytest

from controllers import make_controller
from controllers.net2deeper import interleaved
from controllers.stacking import doublings, stacked
from controllers.trial import AS_LONG_AS_PAID
from search_spaces import make_space
from search_spaces.errors import InvalidInput, SearchExhausted
from tests.controllers.trials import failed, running, scored


def space(depth, **options):
    return make_space({"family": "mlp", "width": 4, "depth": depth, **options}, input_shape=(2,), num_classes=2)


TO_EIGHT = space({"min": 1, "max": 8})


def grow(method, scores, *, over=TO_EIGHT, **options):
    """The proposals that these scores of the stages lead to, the last one included; None: the stage fails."""
    controller = make_controller(method, options, space=over, seed=0, trial_epochs=20)
    proposals = []
    for number, score in enumerate([*scores, 0.99]):
        proposal = controller.ask(number)
        assert controller.ask(number, [running(number, proposal)]) is None  # the next stage needs this one
        proposals.append(proposal)
        controller.tell(failed(number, proposal) if score is None else scored(number, proposal, score))
        if not proposal.keep:
            break
    with pytest.raises(SearchExhausted):
        controller.ask(len(proposals))
    return proposals


def depths(proposals):
    return [proposal.architecture.depth for proposal in proposals]


def test_autogrow_appends_until_it_stalls_and_finishes_the_best():
    stages = grow("autogrow", [0.5, 0.6, 0.65, 0.6504, 0.6], patience=2)
    assert depths(stages) == [1, 2, 3, 4, 5, 4]  # 4 gained 0.04 points, which is less than 0.05
    assert [stage.parent for stage in stages] == [None, 0, 1, 2, 3, 3]
    assert [tuple(stage.inherits.get("blocks", ())) for stage in stages] == [
        (),
        (1, 0),
        (1, 2, 0),
        (1, 2, 3, 0),
        (1, 2, 3, 4, 0),
        (1, 2, 3, 4),
    ]
    assert {stage.epochs for stage in stages[:-1]} == {3}
    assert stages[-1].epochs == AS_LONG_AS_PAID
    assert {stage.inherits["new_blocks"] for stage in stages[1:]} == {"random"}


def test_autogrow_stops_at_the_deepest():
    assert depths(grow("autogrow", [0.1, 0.2, 0.3], over=space([0, 2, 5]))) == [0, 2, 5, 5]


def test_net2deeper_doubles_as_long_as_that_helps():
    stages = grow("net2deeper", [0.5, 0.6, 0.7, 0.6])
    assert depths(stages) == [1, 2, 4, 8, 4]
    assert tuple(stages[2].inherits["blocks"]) == (1, 0, 2, 0)
    assert stages[2].inherits["new_blocks"] == "identity"
    assert [stage.parent for stage in stages] == [None, 0, 1, 2, 2]
    assert {stage.epochs for stage in stages[:-1]} == {5}  # a quarter of an ordinary trial
    assert depths(grow("net2deeper", [0.5, 0.6, 0.7, 0.8], over=space([0, 1, 3, 7]))) == [1, 3, 7, 7]
    assert depths(grow("net2deeper", [0.5, 0.4])) == [1, 2, 1]


def test_stacking_always_ends_at_the_deepest():
    stages = grow("stacking", [0.5, 0.4, 0.3, 0.2], stage_epochs=7)
    assert depths(stages) == [1, 2, 4, 8, 8]
    assert tuple(stages[2].inherits["blocks"]) == (1, 2, 1, 2)
    assert {stage.epochs for stage in stages[:-1]} == {7}


@pytest.mark.parametrize("method", ["autogrow", "net2deeper", "stacking"])
def test_a_stage_that_fails_ends_the_growth(method):
    assert depths(grow(method, [0.5, None])) == [1, 2, 1]
    controller = make_controller(method, {}, space=TO_EIGHT, seed=0)
    controller.tell(failed(0, controller.ask(0)))
    with pytest.raises(SearchExhausted, match="the first stage failed"):
        controller.ask(1)


def test_new_blocks_are_spread_evenly():
    assert interleaved(1, 2) == (1, 0)
    assert interleaved(4, 6) == (1, 2, 0, 3, 4, 0)
    assert interleaved(3, 9) == (1, 0, 0, 2, 0, 0, 3, 0, 0)


def test_stacks_repeat_the_blocks():
    assert stacked(3, 6) == (1, 2, 3, 1, 2, 3)
    assert stacked(2, 5) == (1, 2, 1, 2, 1)


def test_schedules_halve_from_the_deepest():
    assert doublings(range(1, 13)) == (1, 2, 3, 6, 12)
    assert doublings([2, 3, 16]) == (2, 3, 16)
    assert doublings([4]) == (4,)


@pytest.mark.parametrize("method", ["autogrow", "net2deeper", "stacking"])
def test_only_depth_grows(method):
    with pytest.raises(InvalidInput, match=f"{method} learns depth only"):
        make_controller(method, {}, space=space([1, 2], ops=["dense", "residual"]), seed=0)


def test_a_block_too_narrow_for_an_identity_is_refused_before_anything_runs():
    with pytest.raises(InvalidInput, match=r"block_width: must be at least the width 4 .*, got 2"):
        make_controller("net2deeper", {}, space=space([1, 2], block_width=2), seed=0)
    make_controller("net2deeper", {"new_blocks": "random"}, space=space([1, 2], block_width=2), seed=0)


def test_net2deeper_needs_blocks_of_their_own():
    with pytest.raises(InvalidInput, match=r"space\.tied must be false"):
        make_controller("net2deeper", {}, space=space([1, 2], tied=True), seed=0)


def test_a_tied_chain_grows_by_applications_of_its_block():
    over = space([1, 2, 4], tied=True, ops=["residual"])
    proposals = grow("stacking", [0.5, 0.6, 0.7], over=over)
    assert depths(proposals) == [1, 2, 4, 4]


def test_identities_have_weights_of_their_own():
    with pytest.raises(InvalidInput, match=r"autogrow adds blocks of their own: space.tied must be false"):
        make_controller("autogrow", {"new_blocks": "identity"}, space=space([1, 2], tied=True), seed=0)
