"""Between a study and its workers: jobs, transactions and files."""

import pytest
import torch

from controllers.cost import Charge, ChargeKind, Cost
from controllers.grid import Grid
from controllers.trial import SCORE, Epoch, Kind, Measurement
from nas.driver import Driver
from nas.records import StudyStatus
from nas.spec import dump_spec
from nas.store import open_store
from nas.study import Study
from search_spaces.errors import StoreError
from tests.nas.fakes import fake_plan
from workers import flight
from workers.job import Failure


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """A sequential grid over three networks in a database of its own; `again()` is the driver of its resumption."""
    data = {
        "name": "study",
        "task": {"name": "spiral", "train_size": 4, "validation_size": 2, "test_size": 2},
        "space": {"family": "mlp", "depth": [2, 3, 4], "width": 8},
        "methods": ["grid"],
        "seeds": 1,
        "budget": {"epochs": 8},
        "training": {"epochs": 2},
        "final": {"training": {"epochs": 5, "learning_rate": 0.5}},
        "limits": {"trial_seconds": 7, "checkpoint_seconds": 9},
        "resources": {"workers": 1},
    }
    plan = fake_plan(monkeypatch, data)
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as store:
        study_id = store.create_study("study", dump_spec(plan.spec), plan.runs, {})
        made = Driver(Study(plan), store, study_id, tmp_path / "files")
        made.again = lambda: Driver(Study(plan, store.load("study")), store, study_id, tmp_path / "files")
        yield made


def charges(epochs):
    return (Charge(kind=ChargeKind.TRAIN, cost=Cost(flops=10 * epochs, epochs=epochs)),)


def epoch(number, score):
    return Epoch(number=number, metrics={SCORE: score}, cost=Cost(epochs=number))


def finish(driver, assignment, score):
    """As a worker would: weights first, then the result."""
    epochs = assignment.job.epochs
    flight.save_tensors(assignment.job.folder / flight.WEIGHTS, {"score": torch.tensor(score)})
    measurement = Measurement(
        metrics={SCORE: score}, charges=charges(epochs), epochs=epochs, num_parameters=1, inference_flops=1
    )
    driver.finish(assignment.run, assignment.number, measurement, [epoch(epochs, score)])


def folders(driver):
    return sorted(int(path.name) for path in driver.files.glob("*/*"))


def frame(driver, name):
    return driver.store.frame(name, "study")


def test_a_job_is_complete(driver):
    job = driver.next().job
    assert job.proposal.architecture.depth == 2
    assert (job.task, job.space) == (driver.study.plan.spec.task, driver.study.plan.spec.space)
    assert (job.epochs, job.training.epochs, job.training.learning_rate) == (2, 2, 0.01)
    assert (job.time_limit_s, job.checkpoint_s) == (7, 9)
    assert (job.folder, job.parent_folder) == (driver.files / "000" / "000000", None)
    assert (job.max_flops, job.max_device_us) == (None, None), "the budget counts epochs"


def test_the_jobs_after_the_search_start_from_the_choice(driver):
    for score in (0.1, 0.9, 0.2):
        finish(driver, driver.next(), score)
    continuation = driver.next()
    assert (continuation.job.proposal.kind, continuation.job.epochs) == (Kind.CONTINUATION, 2)
    assert continuation.job.parent_folder == driver.files / "000" / "000001"
    finish(driver, continuation, 0.5)
    final = driver.next()
    assert final.job.proposal.kind is Kind.FINAL
    assert (final.job.epochs, final.job.training.learning_rate) == (5, 0.5)
    assert final.job.parent_folder == driver.files / "000" / "000001", "the continuation was worse"
    finish(driver, final, 0.7)
    assert driver.done
    assert driver.next() is None
    assert frame(driver, "studies")["status"].tolist() == [StudyStatus.COMPLETE]


def test_only_the_files_of_the_choice_are_kept(driver):
    kept = []
    for score in (0.3, 0.2, 0.9):
        finish(driver, driver.next(), score)
        kept.append(folders(driver))
    assert kept == [[0], [0], [2]]
    artifacts = frame(driver, "artifacts")
    assert artifacts["number"].tolist() == [0, 2]
    assert artifacts["path"].iloc[1] == str(driver.files / "000" / "000002" / flight.WEIGHTS)


def test_what_may_be_recommended_is_kept_until_the_search_is_over(driver, monkeypatch):
    monkeypatch.setattr(Grid, "recommend", lambda _: 1, raising=False)
    again = driver.again
    driver = again()
    for score in (0.3, 0.2, 0.9):
        finish(driver, driver.next(), score)
    assert folders(driver) == [0, 1, 2]
    driver = again()
    assert folders(driver) == [0, 1, 2]
    continuation = driver.next()
    assert continuation.job.parent_folder == driver.files / "000" / "000001"
    assert (folders(driver), frame(driver, "runs")["choice"].tolist()) == ([1], [1])
    assert frame(driver, "artifacts")["number"].tolist() == [0, 1, 2]
    driver = again()
    assert driver.study.runs[0].choice.number == 1, "what was stored, not the best score"
    finish(driver, driver.next(), 0.1)
    final = driver.next()
    assert final.job.parent_folder == driver.files / "000" / "000001"
    finish(driver, final, 0.5)
    assert (driver.done, folders(driver)) == (True, [1])


def test_what_a_finished_trial_left_behind_is_swept_on_resumption(driver):
    finish(driver, driver.next(), 0.3)
    finish(driver, driver.next(), 0.2)
    running = driver.next()
    for number in (1, running.number):
        flight.write_charges(driver.files / "000" / f"{number:06d}" / flight.PROGRESS, charges(1))
    driver.again()
    assert folders(driver) == [0, running.number]


def test_epochs_are_stored_as_they_come_and_with_the_result(driver):
    assignment = driver.next()
    driver.report(0, 0, [epoch(1, 0.1)])
    assert frame(driver, "epochs")["val_accuracy"].tolist() == [0.1]
    finish(driver, assignment, 0.2)
    assert frame(driver, "epochs")["val_accuracy"].tolist() == [0.1, 0.2]


@pytest.mark.parametrize(("spent", "kept", "lost_epochs"), [(0, 0, 1), (1, 0, 2), (1, 1, 1), (2, 0, 2), (2, 1, 1)])
def test_a_dead_worker_is_charged_by_what_its_files_say(driver, spent, kept, lost_epochs):
    """What no checkpoint keeps, and the epoch under way, which is none once both are trained."""
    assignment = driver.next()
    for name, epochs in ((flight.PROGRESS, spent), (flight.KEPT, kept)):
        if epochs:
            flight.write_charges(assignment.job.folder / name, charges(epochs))
    driver.lose(0, 0, "node died")
    (lost,) = frame(driver, "charges").to_dict("records")
    assert (lost["kind"], lost["epochs"]) == ("lost", lost_epochs)
    assert frame(driver, "events")["message"].tolist() == ["node died"]
    assert folders(driver) == ([0] if spent else []), "a checkpoint is still needed"
    again = driver.next()
    assert (again.number, again.job) == (0, assignment.job)


def test_a_worker_that_the_watchdog_ended_is_not_tried_again(driver):
    assignment = driver.next()
    flight.write_hung(assignment.job.folder, "hung: still running after 7 s")
    driver.lose(0, 0, "the worker process died")
    trials = frame(driver, "trials")
    assert trials[["status", "reason"]].to_numpy().tolist() == [["failed", "hung: still running after 7 s"]]
    assert folders(driver) == []


def test_storage_that_fails_is_tried_again_and_then_stops_the_driver(driver):
    for _ in range(2):
        driver.next()
        driver.lose(0, 0, "OSError: disk full", storage_failed=True)
    driver.next()
    with pytest.raises(StoreError, match=r"trial 0 of run 0 cannot keep its files in .*: OSError: disk full"):
        driver.lose(0, 0, "OSError: disk full", storage_failed=True)
    driver.interrupt()
    assert frame(driver, "trials")["status"].tolist() == ["running"]
    assert driver.again().next().number == 0


def test_a_driver_whose_database_is_full_stops_all_the_same(driver, monkeypatch):
    driver.next()

    def full(*_):
        raise StoreError("database or disk is full")

    monkeypatch.setattr(driver.store, "record", full)
    driver.interrupt()


def test_a_broken_network_leaves_no_files(driver):
    assignment = driver.next()
    flight.write_charges(assignment.job.folder / flight.PROGRESS, charges(1))
    driver.finish(0, 0, Failure(reason="broke", charges=charges(1)))
    assert folders(driver) == []


def test_an_interrupted_study_says_so_until_it_goes_on(driver):
    assignment = driver.next()
    driver.interrupt()
    assert frame(driver, "studies")["status"].tolist() == [StudyStatus.INTERRUPTED]
    again = driver.again()
    assert frame(driver, "studies")["status"].tolist() == [StudyStatus.RUNNING]
    assert again.next().job == assignment.job


def test_every_change_is_announced_after_it_is_stored(driver):
    seen = []
    driver.on_change = lambda: seen.append(len(frame(driver, "trials")))
    driver.next()
    assert seen == [1]
