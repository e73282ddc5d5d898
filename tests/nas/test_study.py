"""Runs and studies, trial by trial, with results that each test makes up."""

import pytest

from controllers.cost import Charge, ChargeKind, Cost, total
from controllers.grid import Grid
from controllers.random import Random
from controllers.trial import SCORE, Kind, Measurement, Status
from nas.records import Account, Charged, Phase, RunChanged, StudyChanged, StudyStatus, TrialFinished, TrialLost
from nas.study import Study
from search_spaces.errors import InvalidInput, TrialFailed
from tests.nas import fakes
from workers.job import Failure

EPOCH = 100
"""FLOPs of one epoch of every network of these tests."""
GIANT = 8
"""The depth whose epoch costs a hundred times that."""
CONCLUSION = 30
"""FLOPs of what a supernet does after its last epoch, if it selects by removal."""


class FlatPricer(fakes.FakePricer):
    def epoch_cost(self, proposal, training):
        if proposal.architecture is not None and proposal.architecture.depth == 9:
            raise TrialFailed("depth 9 cannot be built")
        is_giant = proposal.architecture is not None and proposal.architecture.depth == GIANT
        return Cost(flops=EPOCH * (100 if is_giant else 1), epochs=1)

    def conclusion_cost(self, proposal):
        return Cost(flops=CONCLUSION if proposal.relaxation.get("select") == "removal" else 0)


@pytest.fixture
def study(monkeypatch):
    """A sequential study of one run unless the test says otherwise; a trial of two epochs costs 200 FLOPs."""
    monkeypatch.setattr(fakes, "FakePricer", FlatPricer)

    def make(*methods, budget=1000, unit="flops", depth=(1, 2, 3, 4), workers=1, **fields):
        made = Study(
            fakes.fake_plan(
                monkeypatch,
                {
                    "name": "study",
                    "task": {"name": "spiral", "train_size": 2, "validation_size": 2, "test_size": 2},
                    "space": {"family": "mlp", "depth": list(depth), "width": 4},
                    "methods": methods,
                    "seeds": 1,
                    "budget": {unit: budget},
                    "training": {"epochs": 2},
                    "resources": {"workers": workers},
                    **fields,
                },
            )
        )

        made.past = past = []
        write = made.log.write
        made.log.write = lambda record: (past.append(record), write(record))
        return made

    return make


def spent(epochs, flops=None, **others):
    cost = Cost(flops=epochs * EPOCH if flops is None else flops, epochs=epochs, **others)
    return (Charge(kind=ChargeKind.TRAIN, cost=cost),)


def measured(trial, score=0.5, *, epochs=None, derived=()):
    epochs = trial.epochs if epochs is None else epochs
    return Measurement(
        metrics={SCORE: score},
        charges=spent(epochs),
        epochs=epochs,
        num_parameters=1,
        inference_flops=1,
        derived=derived,
    )


def finish(study, dispatch, score=0.5, **fields):
    study.finish(dispatch.run.plan.index, dispatch.trial.number, measured(dispatch.trial, score), **fields)


def search(study, *scores):
    """Finish the next trials with these scores."""
    for score in scores:
        finish(study, study.propose(), score)


def lose(study, dispatch, *, done=0, kept=0, **fields):
    study.lose(
        dispatch.run.plan.index,
        dispatch.trial.number,
        spent=spent(done) if done else (),
        kept=spent(kept) if kept else (),
        reason="node died",
        **fields,
    )


def ended(study, number):
    """A finished trial of the first run."""
    finished = [one for one in study.past if isinstance(one, TrialFinished) and one.run == 0]
    return next(one.trial for one in finished if one.trial.number == number)


def records(study, kind):
    return [record for record in study.drain() if isinstance(record, kind)]


def test_a_grid_from_its_first_trial_to_its_end(study):
    grid = study("grid", budget=1000)
    (run,) = grid.runs
    search(grid, 0.1, 0.9, 0.3, 0.2)
    assert run.ledger.spent == 800
    continuation = grid.propose().trial
    assert (continuation.proposal.kind, continuation.proposal.parent, continuation.epochs) == (Kind.CONTINUATION, 1, 2)
    assert continuation.architecture.depth == 2
    assert run.stop_reason == "all 4 grid points are trained"
    grid.finish(0, 4, measured(continuation, 0.95))
    final = grid.propose().trial
    assert (final.proposal.kind, final.proposal.parent, final.epochs) == (Kind.FINAL, 4, 6)
    assert run.purse.max_flops(final) is None
    grid.finish(0, 5, measured(final))
    assert grid.done
    assert run.ledger.spent == 1000
    assert grid.propose() is None
    assert records(grid, StudyChanged) == [StudyChanged(status=StudyStatus.COMPLETE)]


def test_a_worse_continuation_is_not_chosen(study):
    grid = study("grid", budget=1000)
    search(grid, 0.1, 0.9, 0.3, 0.2, 0.8)
    assert grid.propose().trial.proposal.parent == 1


def test_the_first_of_equals_is_chosen(study):
    grid = study("grid", budget=800)
    search(grid, 0.1, 0.9, 0.9, 0.9)
    assert grid.propose().trial.proposal.parent == 1


def test_a_trial_that_does_not_fit_ends_the_search_and_the_rest_trains_the_choice(study):
    grid = study("grid", budget=590)
    search(grid, 0.9, 0.1)
    continuation = grid.propose().trial
    assert (continuation.proposal.kind, continuation.epochs) == (Kind.CONTINUATION, 1)
    assert grid.runs[0].stop_reason == "budget spent: the next trial needs 200 FLOPs, 190 FLOPs are left"
    search(grid)
    assert grid.runs[0].ledger.free == 90


def test_without_spend_rest_the_rest_is_left(study):
    grid = study("grid", budget=590, spend_rest=False)
    search(grid, 0.9, 0.1)
    assert grid.propose().trial.proposal.kind is Kind.FINAL
    assert grid.runs[0].ledger.free == 190


def test_the_final_training_is_paid_from_its_own_account(study):
    grid = study("grid", budget=800)
    search(grid, 0.1, 0.2, 0.3, 0.4, 0.5)
    finals = [one for one in records(grid, TrialFinished) if one.account is Account.FINAL]
    assert [total(one.charges) for one in finals] == [Cost(flops=600, epochs=6)]
    assert grid.runs[0].ledger.spent == 800


def test_a_repeat_is_answered_at_no_cost(study):
    random = study("random", budget=2000, depth=[1, 2])
    for _ in range(2):
        search(random, 0.5)
    # Two points: every further proposal is a repeat, and after 100 in a row the search is over.
    assert random.propose().trial.proposal.kind is Kind.CONTINUATION
    (run,) = random.runs
    assert run.stop_reason == "the last 100 proposals were repeats or failed"
    reused = [one for one in records(random, TrialFinished) if one.reused_from is not None]
    assert len(reused) >= 100
    for one in reused:
        original = ended(random, one.reused_from)
        assert one.charges == ()
        assert (one.trial.architecture, one.trial.measurement) == (original.architecture, original.measurement)
    assert run.ledger.spent == 400


def test_proposing_a_repeat_costs_the_controllers_own_work(study):
    method = {"method": "reinforce", "num_units": 4, "num_layers": 1}
    learner = study(method, budget=10**6, depth=[1, 2], limits={"idle_proposals": 3}, spend_rest=False)
    while (dispatch := learner.propose()).trial.proposal.kind is not Kind.FINAL:
        finish(learner, dispatch)
    (run,) = learner.runs
    searched = [one.trial for one in records(learner, TrialFinished)]
    own_work = searched[0].proposal.controller_flops
    trained = {trial.architecture for trial in searched}
    assert own_work > 0
    assert len(searched) >= len(trained) + 3
    assert run.ledger.spent == len(trained) * 2 * EPOCH + len(searched) * own_work


def test_a_failed_or_pruned_trial_does_not_answer_for_its_repeats(study):
    random = study("random", budget=2000, depth=[1], limits={"idle_proposals": 3})
    dispatch = random.propose()
    random.finish(0, 0, Failure(reason="broke", charges=spent(1)))
    finish(random, random.propose(), pruned=True)
    dispatch = random.propose()
    assert dispatch.trial.number == 2
    assert dispatch.trial.status is Status.RUNNING


def test_failures_that_cost_nothing_end_the_search(study):
    random = study("random", limits={"idle_proposals": 5})
    for number in range(5):
        dispatch = random.propose()
        assert dispatch.trial.number == number
        random.finish(0, number, Failure(reason="cannot be built"))
    assert random.propose() is None
    assert random.done
    assert random.runs[0].phase is Phase.FAILED
    assert random.runs[0].stop_reason == "no trial completed; the last 5 proposals were repeats or failed"
    assert records(random, StudyChanged) == [StudyChanged(status=StudyStatus.FAILED)]


def test_a_network_without_a_price_fails_at_no_cost_and_the_search_goes_on(study):
    grid = study("grid", depth=[9, 1], budget=400)
    dispatch = grid.propose()
    assert (dispatch.trial.number, dispatch.trial.architecture.depth) == (1, 1)
    refused = ended(grid, 0)
    assert (refused.status, refused.reason, refused.epochs) == (Status.FAILED, "depth 9 cannot be built", 0)
    assert grid.runs[0].ledger.committed == 200


def test_a_failed_trial_pays_for_what_it_did_and_frees_the_rest(study):
    grid = study("grid", budget=1000)
    grid.propose()
    grid.finish(0, 0, Failure(reason="broke", charges=spent(1, flops=130)))
    assert (grid.runs[0].ledger.spent, grid.runs[0].ledger.free) == (130, 870)


def test_a_final_training_that_fails_fails_the_run(study):
    grid = study("grid", budget=800)
    search(grid, 0.1, 0.2, 0.3, 0.4)
    grid.propose()
    grid.finish(0, 4, Failure(reason="broke"))
    assert grid.done
    assert (grid.runs[0].phase, grid.runs[0].stop_reason) == (Phase.FAILED, "final training: broke")


def test_the_run_that_has_committed_least_goes_next(study):
    both = study("random", {"method": "grid", "label": "grid"}, workers=2, budget=2000)
    first, second = both.propose(), both.propose()
    assert (first.run.plan.index, second.run.plan.index) == (0, 1)
    assert both.propose() is None, "both workers are busy"
    both.finish(0, 0, Failure(reason="broke early", charges=spent(1, flops=10)))
    assert both.propose().run.plan.index == 0


def test_a_lost_attempt_is_charged_with_its_epoch_under_way_and_tried_again(study):
    grid = study("grid", budget=1000)
    dispatch = grid.propose()
    grid.drain()
    lose(grid, dispatch, done=1)
    (lost,) = records(grid, TrialLost)
    assert lost.charges == (Charge(kind=ChargeKind.LOST, cost=Cost(flops=200, epochs=2, device_us=lost_us(grid))),)
    (run,) = grid.runs
    assert (run.ledger.spent, run.ledger.reservation(0)) == (200, 200)
    again = grid.propose()
    assert (again.trial, again.attempt) == (dispatch.trial, 1)
    finish(grid, again)
    assert run.ledger.spent == 400


def test_a_supernet_that_concludes_pays_for_it_out_of_its_share(study):
    darts = study({"method": "darts", "select": "removal", "search_share": 0.5})
    dispatch = darts.propose()
    (run,) = darts.runs
    assert (dispatch.trial.epochs, run.ledger.reservation(0)) == (4, 4 * EPOCH + CONCLUSION)
    assert run.purse.max_flops(dispatch.trial) == 4 * EPOCH + CONCLUSION
    lose(darts, dispatch, done=4)  # nobody knows how far it got after its last epoch
    assert run.ledger.spent == 4 * EPOCH + CONCLUSION


def lost_us(study):
    """Predicted device time of the epoch under way, which nobody could measure."""
    return study.throughput.predict_us(EPOCH)


def test_what_a_checkpoint_keeps_is_not_lost(study):
    grid = study("grid", budget=1000)
    lose(grid, grid.propose(), done=1, kept=1)
    assert grid.runs[0].ledger.spent == EPOCH


def test_a_lost_trial_goes_before_all_others(study):
    both = study("grid", {"method": "grid", "label": "again"})
    lose(both, both.propose())
    assert both.runs[1].spent_share < both.runs[0].spent_share
    assert both.propose().run.plan.index == 0


def test_a_trial_is_given_up_after_its_retries(study):
    grid = study("grid", budget=1000, limits={"retries": 1})
    lose(grid, grid.propose())
    lose(grid, grid.propose(), done=1)
    (run,) = grid.runs
    trial = ended(grid, 0)
    assert (trial.status, trial.reason) == (Status.FAILED, "worker died 2 times: node died")
    assert run.ledger.spent == run.ledger.committed == 100 + 200
    assert grid.propose().trial.number == 1


def test_a_trial_is_given_up_when_the_budget_cannot_pay_for_the_loss(study):
    grid = study("grid", budget=250)
    lose(grid, grid.propose())
    (run,) = grid.runs
    assert ended(grid, 0).reason == "worker died 1 times: node died"
    assert run.ledger.spent == 100


def test_a_loss_that_nothing_else_can_pay_shortens_the_trial(study):
    """The control of all studies has reserved everything: 10 epochs of 100 FLOPs, of which 3 are lost."""
    fixed = study({"method": "fixed", "architecture": {"depth": 1}}, budget=1000)
    dispatch = fixed.propose()
    fixed.drain()
    assert dispatch.trial.epochs == 10
    lose(fixed, dispatch, done=4, kept=2)
    (lost,) = records(fixed, TrialLost)
    assert (total(lost.charges).flops, lost.epochs, lost.reserved) == (300, 7, 700)
    (run,) = fixed.runs
    assert (run.ledger.spent, run.ledger.reservation(0)) == (300, 700)
    again = fixed.propose()
    assert (again.trial.number, again.trial.epochs, again.attempt) == (0, 7, 1)
    assert run.purse.max_flops(again.trial) == 700
    finish(fixed, again)
    assert run.ledger.spent == 1000
    assert ended(fixed, 0).status is Status.COMPLETE


def test_a_hopeless_trial_is_not_tried_again(study):
    grid = study("grid", budget=1000)
    lose(grid, grid.propose(), done=1, hopeless=True)
    assert ended(grid, 0).reason == "node died"
    assert grid.runs[0].ledger.spent == 200


def test_device_time_beyond_the_grant_goes_to_another_account(study):
    timed = study("random", unit="device_seconds", budget=1.0)
    dispatch = timed.propose()
    granted = timed.runs[0].purse.max_device_us(dispatch.trial)
    outcome = measured(dispatch.trial)
    (train,) = spent(2, device_us=granted + 11)
    timed.finish(0, 0, Measurement(**{**vars(outcome), "charges": (train,)}))
    (overshoot,) = records(timed, Charged)
    assert (overshoot.account, overshoot.charges) == (
        Account.OVERSHOOT,
        (Charge(kind=ChargeKind.TRAIN, cost=Cost(device_us=11)),),
    )
    assert timed.runs[0].ledger.spent == granted


def test_a_budget_too_small_for_anything_ends_at_once(study):
    timed = study("random", unit="device_seconds", budget=1e-6)
    assert timed.propose() is None
    assert timed.done
    assert timed.runs[0].stop_reason.startswith("no trial completed; budget spent")


def test_what_the_whole_budget_would_not_pay_is_refused_and_the_search_goes_on(study):
    grid = study("grid", budget=450, depth=(GIANT, 1, GIANT - 1))
    depths = [grid.propose().trial.architecture.depth]
    search_order = [trial.trial for trial in grid.past if isinstance(trial, TrialFinished)]
    assert [(trial.architecture.depth, trial.status, trial.measurement) for trial in search_order] == [
        (GIANT, Status.FAILED, None)
    ]
    assert search_order[0].reason == "needs 20 kFLOPs, the whole budget is 450 FLOPs"
    assert depths == [1]


def test_a_giant_that_only_what_is_left_does_not_pay_ends_the_search(study):
    grid = study("grid", budget=20_100, depth=(1, GIANT, 2))
    search(grid, 0.5)
    assert grid.propose().trial.proposal.kind is Kind.CONTINUATION
    assert grid.runs[0].stop_reason == "budget spent: the next trial needs 20 kFLOPs, 19.9 kFLOPs are left"


def test_nothing_but_giants_is_bad_input(study):
    with pytest.raises(InvalidInput, match=r"must pay for the first trial of fixed, 1e\+04 flops, got 500"):
        study({"method": "fixed", "architecture": {"depth": GIANT}}, budget=500, depth=(1, GIANT))


def test_a_share_below_one_epoch_pays_for_one(study):
    elastic = study({"method": "elastic", "search_share": 0.1}, budget=600)
    supernet = elastic.propose().trial
    assert (supernet.epochs, elastic.runs[0].ledger.free) == (1, 500)


def test_a_supernet_takes_its_share_and_its_architectures_the_rest(study):
    one_shot = study({"method": "layer_select", "search_share": 0.5}, budget=1050)
    dispatch = one_shot.propose()
    assert (dispatch.trial.proposal.kind, dispatch.trial.epochs) == (Kind.RELAXATION, 5)
    grid = study("grid").runs[0].controller.points()
    one_shot.finish(0, 0, measured(dispatch.trial, 0.99, derived=(grid[2], grid[0])))
    trials = []
    for score in (0.4, 0.3):
        dispatch = one_shot.propose()
        trials.append(dispatch.trial)
        finish(one_shot, dispatch, score)
    assert [trial.architecture for trial in trials] == [grid[2], grid[0]]
    assert [trial.epochs for trial in trials] == [2, 2]
    assert one_shot.runs[0].choice.number == 1, "a supernet is not a network to deliver"
    continuation = one_shot.propose().trial
    assert (continuation.architecture, continuation.epochs) == (grid[2], 1)


def test_every_change_of_the_choice_is_recorded(study):
    grid = study("grid", budget=800)
    search(grid, 0.1, 0.2, 0.2, 0.3)
    assert [change.choice for change in records(grid, RunChanged)] == [0, 1, 3]


def test_the_same_network_is_retrained_from_the_same_seed_by_every_method(study):
    both = study("grid", {"method": "fixed", "architecture": {"depth": 1}}, budget=800, spend_rest=False)
    finals = []
    while not both.done:
        dispatch = both.propose()
        if dispatch.trial.proposal.kind is Kind.FINAL:
            finals.append((dispatch.trial.architecture, dispatch.trial.seed))
        finish(both, dispatch)
    assert len(finals) == 2
    assert finals[0] == finals[1]


def test_a_recommendation_decides_once_the_search_is_over(study, monkeypatch):
    monkeypatch.setattr(Grid, "recommend", lambda _: 2, raising=False)
    grid = study("grid")
    (run,) = grid.runs
    search(grid, 0.1, 0.9, 0.8, 0.2)
    assert run.choice.number == 1, "the best so far"
    continuation = grid.propose()
    assert (continuation.trial.proposal.parent, run.choice.number) == (2, 2)
    finish(grid, continuation, 0.85)
    assert run.choice.number == 4, "better than what it goes on from"
    assert grid.propose().trial.proposal.parent == 4
    changes = [record.choice for record in grid.past if isinstance(record, RunChanged)]
    assert list(dict.fromkeys(changes)) == [0, 1, 2, 4]


def test_no_recommendation_leaves_the_best(study, monkeypatch):
    monkeypatch.setattr(Grid, "recommend", lambda _: None, raising=False)
    grid = study("grid", budget=800)
    search(grid, 0.1, 0.9, 0.8, 0.2)
    assert grid.propose().trial.proposal.parent == 1


def test_what_is_recommended_is_the_training_and_not_its_repeat(study, monkeypatch):
    """Trial 1 repeats trial 0, whose files are the only ones."""
    monkeypatch.setattr(Random, "recommend", lambda _: 1, raising=False)
    repeats = study("random", depth=[1], limits={"idle_proposals": 1})
    search(repeats, 0.5)
    assert repeats.propose().trial.proposal.parent == 0
    assert ended(repeats, 1).score == 0.5
