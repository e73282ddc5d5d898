"""Trials that go on from trials: what they are granted, what they pay, whose seed and files they share."""

from dataclasses import replace

import pytest
import torch

from controllers.cost import Charge, ChargeKind, Cost, Unit, total
from controllers.trial import AS_LONG_AS_PAID, SCORE, Kind, Measurement, Proposal, Status
from nas.driver import Driver
from nas.records import Account, TrialFinished, TrialLost
from nas.settlement import bill
from nas.spec import dump_spec
from nas.store import open_store
from nas.study import Study
from nas.tariff import Blocks
from search_spaces.errors import SearchExhausted
from tests.nas import fakes
from workers import flight
from workers.job import Failure

EPOCH = 100
"""FLOPs of one epoch of every network of these tests."""
SCORES = (0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.4, 0.5, 0.6)
"""Of the nine candidates of a bracket. The best three are trials 1, 3 and 5."""
HALVING = {"method": "successive_halving", "reduction_factor": 3}


class FlatPricer(fakes.FakePricer):
    def epoch_cost(self, proposal, training):
        return Cost(flops=EPOCH, epochs=1)


@pytest.fixture
def plan(monkeypatch):
    """One sequential run; an ordinary trial has nine epochs."""
    monkeypatch.setattr(fakes, "FakePricer", FlatPricer)

    def make(*methods, budget=10_000, unit="flops", workers=1, **fields):
        return fakes.fake_plan(
            monkeypatch,
            {
                "name": "study",
                "task": {"name": "spiral", "train_size": 2, "validation_size": 2, "test_size": 2},
                "space": {"family": "mlp", "depth": {"min": 1, "max": 12}, "block_width": [4, 8], "width": 4},
                "methods": methods or [HALVING],
                "seeds": 1,
                "budget": {unit: budget},
                "training": {"epochs": 9},
                "resources": {"workers": workers},
                **fields,
            },
        )

    return make


def measured(trial, score, *, epochs=None):
    epochs = trial.epochs if epochs is None else epochs
    own = epochs - trial.proposal.resumed_epochs
    return Measurement(metrics={SCORE: score}, charges=spent(own), epochs=epochs, num_parameters=1, inference_flops=1)


def spent(epochs):
    return (Charge(kind=ChargeKind.TRAIN, cost=Cost(flops=epochs * EPOCH, epochs=epochs)),) if epochs else ()


def search(study, *scores):
    """Finish the next trials with these scores; None is a failure without a cost."""
    trials = []
    for score in scores:
        trials.append(study.propose().trial)
        outcome = Failure(reason="broke") if score is None else measured(trials[-1], score)
        study.finish(0, trials[-1].number, outcome)
    return trials


def paid(study, unit):
    records = [record for record in study.drain() if isinstance(record, TrialFinished)]
    return [total(record.charges).atoms(unit) for record in records if record.account is Account.SEARCH]


def ended(study, *numbers):
    """Finished trials, from what was not drained yet."""
    finished = {record.trial.number: record.trial for record in study.drain() if isinstance(record, TrialFinished)}
    return [finished[number] for number in numbers]


class Script:
    """A controller that proposes what the test says."""

    def __init__(self, *proposals):
        self.proposals = proposals

    def ask(self, number, pending=()):
        if number >= len(self.proposals):
            raise SearchExhausted("the script is over")
        return self.proposals[number]

    def tell(self, trial):
        pass


def scripted(plan, *proposals):
    study = Study(plan)
    study.runs[0].controller = Script(*proposals)
    return study


def network(study_plan, number=0):
    return Study(study_plan).runs[0].controller.ask(number).architecture


def start(architecture, **fields):
    return Proposal(**{"architecture": architecture, "epochs": 1, "schedule_epochs": 9, "prunable": False, **fields})


def resume(architecture, parent, resumed, epochs, **fields):
    return start(architecture, parent=parent, resumed_epochs=resumed, epochs=epochs, **fields)


def test_a_bracket_pays_for_every_epoch_once(plan):
    study = Study(plan(budget=2150))
    trials = search(study, *SCORES, 0.5, 0.95, 0.6, 0.97)
    assert [trial.epochs for trial in trials] == [1] * 9 + [3] * 3 + [9]
    assert paid(study, Unit.FLOPS) == [100] * 9 + [200] * 3 + [600]
    (run,) = study.runs
    assert (run.ledger.spent, run.ledger.committed) == (2100, 2100)
    assert run.choice.number == 12
    assert study.propose().trial.proposal.kind is Kind.FINAL
    assert run.stop_reason == "budget spent: the next trial needs 100 FLOPs, 50 FLOPs are left"


def test_a_promotion_reserves_and_may_spend_its_own_epochs_only(plan):
    study = Study(plan())
    search(study, *SCORES, 0.5, 0.95, 0.6)
    trial = study.propose().trial
    purse = study.runs[0].purse
    assert (trial.epochs, purse.max_flops(trial)) == (9, 600)
    assert study.runs[0].ledger.reservation(12) == 600


@pytest.mark.parametrize(
    ("unit", "max_epochs", "rungs"),
    [
        ("epochs", 9, (1, 2, 6)),
        ("trials", 9, (1, 0, 0)),  # what trains for nine epochs in all is one trial
        ("trials", 18, (1, 0, 1)),  # rungs at 2, 6 and 18 epochs, of which nine are a trial
        ("trials", 81, (1, 2, 6)),  # rungs at 9, 27 and 81
    ],
)
def test_a_chain_of_promotions_pays_what_one_training_would(plan, unit, max_epochs, rungs):
    options = {"max_epochs": max_epochs, "min_epochs": max_epochs // 9}
    study = Study(plan({**HALVING, **options}, unit=unit, budget=1000))
    search(study, *SCORES, 0.5, 0.95, 0.6, 0.97)
    assert paid(study, Unit(unit)) == [rungs[0]] * 9 + [rungs[1]] * 3 + [rungs[2]]


@pytest.mark.parametrize(("resumed", "epochs", "trials"), [(0, 0, 1), (4, 0, 0), (4, 6, 0), (4, 7, 1), (10, 1, 1)])
def test_a_resumed_training_is_another_trial_only_beyond_what_is_paid(resumed, epochs, trials):
    *_, own = bill(spent(epochs), controller_flops=7, epochs_per_trial=10, resumed_epochs=resumed)
    assert own == Charge(kind=ChargeKind.CONTROLLER, cost=Cost(flops=7, trials=trials))


@pytest.mark.parametrize("per_block", [1, 4])
@pytest.mark.parametrize("resumed", [1, 4, 5, 8])
@pytest.mark.parametrize("amount", [3, 9, 10, 16, 100])
def test_what_is_affordable_beyond_the_resumed_epochs(amount, resumed, per_block):
    costs = Blocks(fixed=3, block=6, epochs_per_block=per_block, resumed_epochs=resumed)
    epochs = costs.affordable(amount)
    assert costs.price(epochs) <= amount < costs.price(epochs + 1)
    whole = Blocks(fixed=0, block=6, epochs_per_block=per_block)
    assert costs.price(epochs) == 3 + whole.price(epochs) - whole.price(resumed)


def test_parent_and_child_share_one_stream_of_random_numbers(plan):
    trials = search(Study(plan()), *SCORES, 0.5, 0.95, 0.6, 0.97)
    assert len({trial.seed for trial in trials[:9]}) == 9
    assert [trials[child].seed for child in (9, 10, 11, 12)] == [trials[parent].seed for parent in (1, 3, 5, 3)]


def test_the_rest_trains_a_choice_of_the_lowest_rung(plan):
    study = Study(plan(budget=1150))  # a bracket ends in its middle
    search(study, *SCORES, 0.5)
    (final,) = search(study, 0.5)
    (run,) = study.runs
    assert run.stop_reason == "budget spent: the next trial needs 200 FLOPs, 50 FLOPs are left"
    assert run.choice.number == 1, "the best score, on any rung"
    assert (final.proposal.kind, final.proposal.parent, final.epochs) == (Kind.FINAL, 1, 27)
    study = Study(plan(budget=1090))
    search(study, *SCORES)
    continuation = study.propose().trial
    assert (continuation.proposal.kind, continuation.proposal.parent) == (Kind.CONTINUATION, 1)
    assert (continuation.epochs, continuation.proposal.resumed_epochs) == (1, 0)
    assert continuation.seed != study.runs[0].choice.seed


def test_a_device_that_was_too_slow_is_gone_on_from_where_it_stopped(plan):
    study = Study(plan(unit="device_seconds", budget=1.0))
    for number, score in enumerate(SCORES):
        trial = study.propose().trial
        study.finish(0, number, measured(trial, score))
    trial = study.propose().trial
    study.finish(0, 9, measured(trial, 0.99, epochs=2))
    search(study, 0.5, 0.5)
    top = study.propose().trial
    assert (top.proposal.parent, top.proposal.resumed_epochs, top.epochs) == (9, 2, 9)


def test_a_lost_promotion_is_charged_for_its_own_epochs(plan):
    study = Study(plan())
    search(study, *SCORES)
    study.drain()
    (run,) = study.runs
    for attempt, (done, kept, lost) in enumerate([(0, 0, 1), (1, 1, 1), (2, 0, 2)]):
        trial = study.propose().trial
        assert (trial.epochs, run.ledger.reservation(9)) == (3, 200)
        study.lose(0, 9, spent=spent(done), kept=spent(kept), reason="node died")
        if attempt < 2:
            (record,) = [record for record in study.drain() if isinstance(record, TrialLost)]
            assert (total(record.charges).epochs, record.epochs, record.reserved) == (lost, 3, 200)
    (failed,) = ended(study, 9)
    assert failed.status is Status.FAILED
    assert run.ledger.spent == 900 + 100 + 100 + 200
    assert study.propose().trial.proposal.parent == 3


def test_a_promotion_of_a_repeat_goes_on_from_the_trial_that_was_trained(plan):
    made = plan()
    one = network(made)
    study = scripted(made, start(one), start(one), resume(one, 1, 1, 3))
    search(study, 0.5)
    trial = study.propose().trial
    (run,) = study.runs
    assert (trial.number, trial.proposal.parent) == (2, 1)
    first, second = ended(study, 0, 1)
    assert trial.seed == first.seed != second.seed
    assert run.lineage.source(1) == 0
    assert run.ledger.reservation(2) == 200


def test_a_promotion_that_was_done_is_answered_at_no_cost(plan):
    made = plan()
    one = network(made)
    study = scripted(made, start(one), start(one), resume(one, 0, 1, 3), resume(one, 1, 1, 3))
    search(study, 0.5, 0.7)
    study.propose()
    (*_, answered) = [record for record in study.drain() if isinstance(record, TrialFinished)]
    assert (answered.trial.number, answered.reused_from, answered.charges) == (3, 2, ())
    assert answered.trial.measurement.epochs == 3


def test_a_promotion_that_is_under_way_is_not_done_twice(plan):
    made = plan(workers=2)
    one = network(made)
    study = scripted(made, start(one), start(one), resume(one, 0, 1, 3), resume(one, 1, 1, 3))
    search(study, 0.5)
    trial = study.propose().trial
    assert study.propose() is None
    study.finish(0, 2, measured(trial, 0.6))
    study.propose()
    done, answered = ended(study, 2, 3)
    assert answered.measurement == done.measurement


def test_without_reuse_repeats_are_trainings_of_their_own(plan):
    made = plan(reuse=False, workers=2)
    one = network(made)
    study = scripted(made, start(one), start(one), resume(one, 0, 1, 3), resume(one, 1, 1, 3))
    trials = search(study, 0.5, 0.5, 0.5, 0.5)
    assert [trial.seed for trial in trials[2:]] == [trial.seed for trial in trials[:2]]
    assert trials[0].seed != trials[1].seed


def test_trainings_under_different_schedules_do_not_answer_for_each_other(plan):
    made = plan()
    one = network(made)
    study = scripted(made, start(one), start(one, schedule_epochs=None), start(one, schedule_epochs=1))
    search(study, 0.5, 0.5)
    study.propose()
    reused = {record.trial.number: record.reused_from for record in study.drain() if isinstance(record, TrialFinished)}
    assert reused == {0: None, 1: None, 2: 1}, "1 and 2: one epoch under a schedule of its own, in other words"


REASON = "can only go on from a complete, resumable trial of the same network after its 1 epochs; trial {} is none"


@pytest.mark.parametrize(
    ("parent", "change", "reason"),
    [
        (0, {"epochs": 1}, "must train for more than the 1 epochs of its parent, got 1"),
        (0, {"architecture": "other"}, REASON.format(0)),
        (0, {"resumed_epochs": 2}, REASON.format(0).replace("its 1", "its 2")),
        (1, {}, REASON.format(1)),  # failed
        (2, {}, REASON.format(2)),  # trained under its own schedule
        (3, {}, REASON.format(3)),  # itself
        (None, {}, REASON.format(None)),
    ],
)
def test_a_controller_that_goes_on_from_nothing_is_refused_at_no_cost(plan, parent, change, reason):
    made = plan(reuse=False)
    one, other = network(made), network(made, 1)
    if change.get("architecture"):
        change = {"architecture": other}
    wrong = replace(resume(one, parent, 1, 3), **change)
    study = scripted(made, start(one), start(one), start(one, schedule_epochs=None), wrong)
    search(study, 0.5, None, 0.5)
    study.propose()
    (refused,) = ended(study, 3)
    assert (refused.status, refused.reason, refused.epochs) == (Status.FAILED, reason, 0)


@pytest.fixture
def driver(plan, tmp_path):
    """Of a bracket; `again()` is the driver of its resumption."""
    made = plan(budget=2450)
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as store:
        study_id = store.create_study("study", dump_spec(made.spec), made.runs, {})
        driver = Driver(Study(made), store, study_id, tmp_path / "files")
        driver.again = lambda: Driver(Study(made, store.load("study")), store, study_id, tmp_path / "files")
        yield driver


def finish(driver, assignment, score):
    """As a worker would: files first, then the result."""
    trial = driver.study.runs[0].pending[assignment.number]
    flight.save_tensors(assignment.job.folder / flight.WEIGHTS, {"score": torch.tensor(score)})
    if trial.proposal.resumable:
        fakes.leave_checkpoint(assignment.job, trial.epochs)
    driver.finish(0, assignment.number, measured(trial, score))


def folders(driver):
    return sorted(int(path.name) for path in driver.files.glob("*/*"))


def test_the_files_of_whoever_may_go_on_are_kept_while_the_run_searches(driver):
    for score in SCORES:
        finish(driver, driver.next(), score)
    assert folders(driver) == list(range(9))
    assert folders(driver.again()) == list(range(9))
    promotion = driver.next()
    assert promotion.job.parent_folder == driver.files / "000" / "000001"
    fakes.check_parent(promotion.job)
    driver.finish(0, promotion.number, Failure(reason="broke"))
    assert folders(driver) == list(range(9)), "what failed leaves nothing"
    for score in (0.95, 0.6, 0.5):
        finish(driver, driver.next(), score)
    assert folders(driver) == [*range(9), 10, 11], "whoever is on the highest rung goes nowhere, and 10 is the choice"


def test_they_are_deleted_when_the_search_is_over(driver):
    for score in (*SCORES, 0.5, 0.95, 0.6, 0.5, *SCORES[:3]):
        finish(driver, driver.next(), score)
    assert folders(driver) == [*range(12), 13, 14, 15]
    continuation = driver.next()
    assert continuation.job.proposal.kind is Kind.FINAL
    assert folders(driver) == [10]
    assert driver.study.runs[0].stop_reason.startswith("budget spent")


def test_a_driver_that_died_before_it_deleted_them_is_caught_up_with(driver, monkeypatch):
    for score in (*SCORES, 0.5, 0.95, 0.6, 0.5, *SCORES[:3]):
        finish(driver, driver.next(), score)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("nas.driver.shutil.rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            driver.next()
    assert len(folders(driver)) == 15
    assert folders(driver.again()) == [10]


def test_the_parent_folder_of_a_repeat_is_the_one_with_the_files(driver):
    one = network(driver.study.plan)
    driver.study.runs[0].controller = Script(start(one), start(one), resume(one, 1, 1, 3))
    finish(driver, driver.next(), 0.5)
    job = driver.next().job
    assert (job.proposal.parent, job.parent_folder) == (1, driver.files / "000" / "000000")
    fakes.check_parent(job)


@pytest.mark.parametrize(
    ("share", "pause", "first", "whole"),
    [
        (None, 0.5, 10, 20),
        (0.6, 0.25, 3, 12),  # 1,260 of 2,100 FLOPs pay for twelve epochs
        (0.1, 0.3, 1, 2),  # for two; the first part has one at least
        (0.05, 0.5, 1, 1),  # for one
    ],
)
def test_a_trial_that_pauses_is_granted_a_part_of_the_schedule_it_could_pay_for(plan, share, pause, first, whole):
    made = plan(budget=2100)
    one = network(made)
    paused = Proposal(
        architecture=one, epochs=AS_LONG_AS_PAID, min_epochs=1, budget_share=share, pause=pause, prunable=False
    )
    study = scripted(made, paused if share else replace(paused, epochs=20), resume(one, 0, first, whole))
    trial = study.propose().trial
    assert (trial.epochs, trial.proposal.epochs, trial.proposal.schedule_epochs) == (first, first, whole)
    assert study.runs[0].ledger.reservation(0) == first * EPOCH
    study.finish(0, 0, measured(trial, 0.5))
    rest = study.propose().trial
    if whole == first:
        assert (rest.number, rest.status, rest.proposal.kind) == (2, Status.RUNNING, Kind.CONTINUATION)
    else:
        assert (rest.epochs, rest.seed, study.runs[0].ledger.reservation(1)) == (
            whole,
            trial.seed,
            (whole - first) * EPOCH,
        )
