"""Studies on real workers: what breaks is recorded and paid for, and nothing else is affected."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest

from controllers.cost import Cost
from controllers.trial import SCORE, Epoch, Proposal, Status, Trial
from nas import open_store, parse_spec
from nas.records import Account, StoredTrial, StudyStatus
from nas.service import resume_study, run_study
from search_spaces.errors import StoreError
from tests.nas.faulty import CALLS_BEFORE, FAMILY

ROOT = Path(__file__).parents[2]
BATCH, STEPS, EPOCHS = 8, 4, 2
STEP = 2 * BATCH * (2 * 64 * 4 + 3 * 4 * 10)
"""A step of a network without blocks on digits, 64 -> 4 -> 10; every block adds `BLOCK`."""
BLOCK = 2 * BATCH * 3 * 4 * 4


@pytest.fixture(scope="module")
def workers():
    """Two workers that can import this package."""
    import ray

    ray.shutdown()  # workers that an earlier test has started know another path
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    yield
    ray.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def run(tmp_path, **fields):
    """The tables of a study on digits with one run."""
    spec = parse_spec(
        {
            "name": "study",
            "task": {"name": "digits", "train_size": STEPS * BATCH, "validation_size": 20},
            "methods": ["grid"],
            "seeds": 1,
            "budget": {"flops": 10**9},
            "training": {"epochs": EPOCHS, "batch_size": BATCH},
            "final": {"training": {"epochs": 1}},
            "resources": {"workers": 2, "storage": str(tmp_path / "files")},
            "spend_rest": False,
            **fields,
        }
    )
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as store:
        name = run_study(spec, store)
        return {table: store.frame(table, name) for table in ("runs", "trials", "charges", "events")}


def space(tmp_path, depths):
    return {"family": FAMILY, "depth": depths, "width": 4, "marker": str(tmp_path / "pid")}


def charged(tables, number, kind):
    charges = tables["charges"]
    return charges[(charges["number"] == number) & (charges["kind"] == kind)]


def assert_reconciled(tables):
    (run,) = tables["runs"].to_dict("records")
    paid = tables["charges"][tables["charges"]["account"] == "search"]["flops"].sum()
    assert paid == run["spent"] <= run["budget"]
    assert run["phase"] == "done"


@pytest.mark.slow
def test_networks_that_break_are_recorded_and_paid_for(workers, tmp_path):
    tables = run(
        tmp_path,
        space=space(tmp_path, [1, 2, 3, 4, 5, 6, 7]),
        limits={"trial_seconds": 30, "retries": 1},
    )
    assert_reconciled(tables)
    searched = tables["trials"][tables["trials"]["kind"] == "architecture"].sort_values("depth")
    assert searched["depth"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    reasons = dict(zip(searched["depth"], searched["reason"], strict=True))
    assert reasons.pop(5).startswith("worker died 2 times: ")
    assert reasons == {
        1: "",
        2: "ArithmeticError: made to raise",
        3: "training loss must be finite, got nan in epoch 1",
        4: "hung: still running after 30 s",
        6: "LookupError: made to be unbuildable",
        7: "",
    }
    assert searched["status"].tolist() == ["complete", *["failed"] * 5, "complete"]
    assert searched["attempt"].tolist() == [0, 0, 0, 0, 1, 0, 0]

    def step(depth):
        return STEP + depth * BLOCK

    number = {row["depth"]: row["number"] for row in searched.to_dict("records")}
    assert charged(tables, number[1], "train")["flops"].tolist() == [EPOCHS * STEPS * step(1)]
    # The step that raises is charged whole, since it was announced before it ran.
    assert charged(tables, number[2], "train")["flops"].tolist() == [(CALLS_BEFORE + 1) * step(2)]
    assert charged(tables, number[3], "train")["flops"].tolist() == [STEPS * step(3)]
    epoch = {depth: STEPS * step(depth) + 20 * 2 * (64 * 4 + 4 * 10 + depth * 16) for depth in (4, 5)}
    assert charged(tables, number[4], "lost")["flops"].tolist() == [epoch[4]]
    assert charged(tables, number[5], "lost")["flops"].tolist() == [epoch[5]] * 2
    assert charged(tables, number[6], "train").empty


@pytest.mark.slow
def test_a_trial_whose_worker_is_killed_is_tried_again(workers, tmp_path):
    pid, is_over = tmp_path / "pid", Event()

    def kill_one_worker():
        while not (pid.exists() and pid.read_text()):
            if is_over.wait(0.01):
                return
        os.kill(int(pid.read_text()), signal.SIGKILL)

    killer = Thread(target=kill_one_worker, daemon=True)
    killer.start()
    try:
        tables = run(tmp_path, space=space(tmp_path, [1, 8, 7, 9]))
    finally:
        is_over.set()
    killer.join()
    assert_reconciled(tables)
    trials = tables["trials"].sort_values("number")
    assert set(trials["status"]) == {"complete"}
    assert trials["attempt"].tolist() == [0, 1, 0, 0, 0]
    slow = charged(tables, 1, "lost")
    assert (slow["attempt"].tolist(), slow["epochs"].tolist()) == ([0], [1])
    assert charged(tables, 1, "train")["flops"].tolist() == [EPOCHS * STEPS * (STEP + 8 * BLOCK)]
    assert tables["events"]["kind"].tolist() == ["trial_lost"]


@pytest.mark.slow
def test_storage_that_fails_stops_the_study_and_no_trial(workers, tmp_path):
    with pytest.raises(
        StoreError, match=r"study was stopped: trial 1 of run 0 cannot keep its files .* nas resume study"
    ):
        run(
            tmp_path,
            space=space(tmp_path, [1, 10]),
            limits={"retries": 1},
            resources={"workers": 1, "storage": str(tmp_path / "files")},  # so that the sound network is done by then
        )
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as store:
        assert [study.status for study in store.studies()] == [StudyStatus.INTERRUPTED]
        assert sorted(store.frame("trials")["status"]) == ["complete", "running"]
        (tmp_path / "pid").touch()
        resume_study("study", store)
        tables = {table: store.frame(table) for table in ("runs", "trials", "charges", "events")}
    assert_reconciled(tables)
    assert set(tables["trials"]["status"]) == {"complete"}
    assert tables["events"]["message"].str.startswith("FileNotFoundError").tolist() == [True]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_scheduler_stops_trials_early_and_they_pay_for_what_they_did(workers, tmp_path, name):
    tables = run(
        tmp_path,
        task={"name": "digits", "train_size": 25 * BATCH, "validation_size": 100},
        space={"family": "mlp", "depth": list(range(1, 10)), "width": 4},  # too narrow for much depth
        training={"epochs": 9, "batch_size": BATCH},
        scheduler={"name": name},
    )
    assert_reconciled(tables)
    searched = tables["trials"][tables["trials"]["kind"] == "architecture"]
    assert len(searched) == 9
    assert {"complete", "pruned"} == set(searched["status"])
    for _, trial in searched.iterrows():
        (train,) = charged(tables, trial["number"], "train").to_dict("records")
        assert train["epochs"] == trial["epochs_trained"]
        assert train["flops"] == trial["epochs_trained"] * 25 * (STEP + trial["depth"] * BLOCK)
        assert (trial["epochs_trained"] < 9) == (trial["status"] == "pruned")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_driver_that_is_killed_is_resumed_as_if_it_had_not_been():
    command = [sys.executable, ROOT / "benchmarks" / "replay.py", "--kills", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills, 1 workers" in done.stdout
    assert "Differences: none but clocks." in done.stdout


def stored(number, scores, *, status=Status.COMPLETE, prunable=True):
    trial = Trial(number=number, proposal=Proposal(prunable=prunable), epochs=9, seed=0, status=status)
    epochs = tuple(Epoch(number=n, metrics={SCORE: score}, cost=Cost()) for n, score in enumerate(scores, start=1))
    return StoredTrial(
        run=0,
        trial=trial,
        account=Account.SEARCH,
        reserved=0,
        attempt=0,
        epochs=epochs,
        order=number,
        reused_from=None,
    )


class RunningTrial:
    """What a scheduler looks at in one of Tune's trials."""

    def __init__(self, trial_id, config):
        self.trial_id, self.config = trial_id, config


@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_scheduler_decides_after_a_replay_as_it_would_have_without(name):
    from nas.runner import EVERY_EPOCH, RunSchedulers

    spec = SimpleNamespace(
        scheduler=SimpleNamespace(name=name, grace_epochs=1, reduction_factor=3),
        training=SimpleNamespace(epochs=9),
    )
    rng = np.random.default_rng(0)

    def run_one(schedulers, number, scores):
        """The trial's last epoch, and everything that it reported."""
        trial = RunningTrial(f"trial-{number}", {"run": 0, EVERY_EPOCH: True})
        schedulers.on_trial_add(None, trial)
        for epoch, score in enumerate(scores[:-1], start=1):  # the last epoch goes with the outcome
            if schedulers.on_trial_result(None, trial, {"epoch": epoch, SCORE: score}) == "STOP":
                return epoch
        return len(scores)

    scores = rng.random((12, 9))
    live = RunSchedulers(spec)
    ends = [run_one(live, number, of_trial) for number, of_trial in enumerate(scores)]
    assert 9 in ends
    assert min(ends) < 9
    for position in range(12):
        resumed = RunSchedulers(spec)
        resumed.replay(stored(number, scores[number][: ends[number]]) for number in range(position))
        again = [run_one(resumed, number, scores[number]) for number in range(position, 12)]
        assert again == ends[position:]


def test_a_scheduler_never_sees_what_it_may_not_stop():
    from nas.runner import RunSchedulers

    spec = SimpleNamespace(scheduler=None, training=SimpleNamespace(epochs=9))
    assert not RunSchedulers(spec).watches(prunable=True)
    spec.scheduler = SimpleNamespace(name="asha", grace_epochs=1, reduction_factor=3)
    assert RunSchedulers(spec).watches(prunable=True)
    assert not RunSchedulers(spec).watches(prunable=False)
