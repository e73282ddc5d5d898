"""ASHA against a trace worked out by hand with the paper's rule: of n told, the best floor(n / 3) go on."""

from controllers import make_controller
from controllers.trial import Status
from tests.controllers.toys import Landscape
from tests.controllers.trials import failed, running, scored

TRACE = (
    # epochs, parent, score; in brackets: trials told per rung and whom the rung would promote
    (1, None, 0.3),
    (1, None, 0.5),
    (1, None, 0.4),
    (3, 1, 0.6),  # [3, 0]: the best is 1
    (1, None, 0.9),
    (3, 4, 0.7),  # [4, 1]: the best is 4
    (1, None, 0.1),  # [4, 2]: the best is 4, which has gone on
    (1, None, 0.2),
    (1, None, 0.45),  # [6, 2]: the best are 4 and 1, which have gone on
    (1, None, 0.0),
    (1, None, 0.05),
    (3, 8, 0.65),  # [9, 2]: the best are 4, 1 and 8
    (9, 5, 0.8),  # [9, 3]: the best on the second rung is 5
    (1, None, 0.99),  # [9, 3, 1]: all have gone on
    (3, 13, 0.95),  # [10, 3, 1]: the best are 13, 4 and 1
    (9, 14, 0.5),  # [10, 4, 1]: the best on the second rung is 14; it goes before anything on the first
    (1, None, 0.0),
)


def make(**options):
    return make_controller("asha", {"reduction_factor": 3, **options}, space=Landscape(), seed=0, trial_epochs=9)


def test_promotes_by_the_papers_rule():
    controller = make()
    assert controller.rungs == (1, 3, 9)
    proposals = []
    for number, (epochs, parent, score) in enumerate(TRACE):
        proposals.append(controller.ask(number))
        assert (proposals[-1].epochs, proposals[-1].parent) == (epochs, parent), f"trial {number}"
        assert proposals[-1].resumed_epochs == (0 if parent is None else epochs // 3)
        assert proposals[-1].schedule_epochs == 9
        if parent is not None:
            assert proposals[-1].architecture == proposals[parent].architecture
        controller.tell(scored(number, proposals[-1], score))


def told(controller, scores):
    """With these trials on the lowest rung, the last ones first; None is a failure."""
    trials = [running(number, controller.ask(number)) for number in range(len(scores))]
    for trial, score in reversed(list(zip(trials, scores, strict=True))):
        finished = (
            failed(trial.number, trial.proposal) if score is None else scored(trial.number, trial.proposal, score)
        )
        controller.tell(finished)
    return controller


def test_never_waits():
    controller, pending = make(), []
    for number in range(30):
        pending.append(running(number, controller.ask(number, pending)))
    assert {one.proposal.epochs for one in pending} == {1}
    assert len({one.architecture for one in pending}) == 30


def test_a_pending_promotion_is_not_proposed_twice():
    controller = told(make(), [0.3, 0.5, 0.4, 0.2, 0.6, 0.1])
    first = running(6, controller.ask(6))
    second = running(7, controller.ask(7, [first]))
    assert [one.proposal.parent for one in (first, second)] == [4, 1]
    assert controller.ask(8, [first, second]).parent is None
    assert controller.ask(8, [second]).parent == 4
    controller.tell(failed(7, second.proposal))
    assert controller.ask(8, [first]).parent is None, "who failed on the way up stays down"


def test_a_failure_counts_as_the_worst():
    assert told(make(), [0.3, None]).ask(2).parent is None
    assert told(make(), [None, 0.3, None]).ask(3).parent == 1
    assert told(make(), [None] * 5 + [0.3]).ask(6).parent == 5
    assert told(make(), [None] * 9).ask(9).parent is None


def test_the_first_of_equals_goes_on():
    assert told(make(), [0.5, 0.5, 0.5]).ask(3).parent == 0


def test_what_stopped_early_is_not_promoted():
    controller = make()
    for number in range(3):
        controller.tell(scored(number, controller.ask(number), 0.5, status=Status.PRUNED))
    assert controller.ask(3).parent is None


def test_the_papers_reduction_factor_is_the_default():
    controller = make_controller("asha", {}, space=Landscape(), seed=0, trial_epochs=64)
    assert controller.rungs == (1, 4, 16, 64)
