"""Runs a study on Ray Tune, at Tune's own extension points.

One Tuner per study: a Searcher that multiplexes all runs, a function trainable on reused actors, one of Tune's
schedulers per run for early stopping. Retries are the study's own, not Tune's: only the study knows what a lost
attempt has cost and whether the run can pay for another.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from controllers.trial import SCORE, Epoch, Measurement
from nas.driver import Assignment, Driver
from nas.records import StoredTrial
from nas.spec import StudySpec
from search_spaces.errors import Interrupted, NasError
from search_spaces.values import dump, load
from workers.job import Failure

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "1e9",
    # The results database is the log: Tune's own snapshots of the experiment would only cost time.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
}
"""Settings that Ray reads from the environment when it is imported."""
os.environ |= {name: value for name, value in QUIET.items() if name not in os.environ}

import ray  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.error import TuneError  # noqa: E402
from ray.tune.experiment import Trial as TuneTrial  # noqa: E402
from ray.tune.experiment import trial as tune_trial  # noqa: E402
from ray.tune.registry import get_trainable_cls  # noqa: E402
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from workers.trainable import EVERY_EPOCH, JOB, NO_STORAGE, WARM_UP, train_job  # noqa: E402

Trainable = Callable[[Mapping[str, Any]], None]

WORKER_DIED = "the worker process died"

Key = tuple[int, int]
"""A trial: index of its run, number within the run."""


def run_study(
    driver: Driver, *, scratch: Path, history: Iterable[StoredTrial] = (), trainable: Trainable = train_job
) -> None:
    """Run `driver`'s study until it is done, on the Ray that is connected or else on a local one.

    Args:
        driver: of the study.
        scratch: where Tune keeps its own files.
        history: finished trials of a resumed study, in finishing order, for the schedulers to learn from.
        trainable: what a worker does with a job; a benchmark may put something cheaper here.

    Raises:
        Interrupted: SIGINT or SIGTERM arrived.
        StoreError: the database or the files cannot be written; the study can be resumed.
    """
    spec = driver.study.plan.spec
    if not ray.is_initialized():
        start_local(spec)
    schedulers = RunSchedulers(spec)
    schedulers.replay(history)
    searcher = StudySearcher(driver, schedulers, rendezvous=scratch.resolve() / "warm-up")
    resources = {"cpu": spec.resources.cpus_per_trial, "gpu": spec.resources.gpus_per_trial}
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=schedulers,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=f"study-{driver.study_id}",
            storage_path=str(scratch.resolve()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )
    with _signals_interrupt(), _trainable_looked_up_once():
        try:
            tuner.fit()
        except KeyboardInterrupt:
            driver.interrupt()
            raise Interrupted("stopped by a signal; `nas resume` goes on from here") from None
        except TuneError:
            if searcher.error is None:
                raise
            driver.interrupt()
            raise searcher.error from None


def start_local(spec: StudySpec) -> None:
    """Start Ray on this machine, with as many CPUs as the study has use for."""
    ray.init(
        num_cpus=max(1, round(spec.resources.workers * spec.resources.cpus_per_trial)),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )
    for name in ("ray", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class StudySearcher(Searcher):
    """Asks the study for trials and tells it what came of them.

    The study itself limits how many are in flight. Before the first ones, as many warm-up trials as there are workers
    wait for each other: Tune would otherwise hand the first free actor around and never finish starting a second.
    """

    def __init__(self, driver: Driver, schedulers: RunSchedulers, *, rendezvous: Path) -> None:
        super().__init__()
        self.error: NasError | None = None
        """What went wrong in the driver, which Tune only reports as text."""
        self.driver = driver
        self.schedulers = schedulers
        self.rendezvous = rendezvous
        self._workers = driver.study.plan.spec.resources.workers
        self._keys: dict[str, Key | None] = {}
        self._cold = self._workers if self._workers > 1 else 0
        self._generation = 0

    def suggest(self, trial_id: str) -> Any:
        with self._errors_kept():
            return self._suggest(trial_id)

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.driver.done:
            return str(Searcher.FINISHED)
        if len(self._keys) >= self._workers:
            return None
        if self._cold > 0:
            self._cold -= 1
            self._keys[trial_id] = None
            folder = self.rendezvous / f"{os.getpid()}-{self._generation}"
            return {WARM_UP: [str(folder), self._workers]}
        assignment = self.driver.next()
        if assignment is None:
            return str(Searcher.FINISHED) if self.driver.done else None
        self._keys[trial_id] = (assignment.run, assignment.number)
        return self._config(assignment)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        key = self._keys[trial_id]
        if key is not None:
            with self._errors_kept():
                self.driver.report(*key, _epochs(result))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        key = self._keys.pop(trial_id)
        if key is not None:
            with self._errors_kept():
                self._conclude(trial_id, key, result if not error else None)

    def _conclude(self, trial_id: str, key: Key, result: dict[str, Any] | None) -> None:
        if result is None:
            self._generation += 1
            self._cold = self._workers if self._workers > 1 else 0
            self.driver.lose(*key, self.schedulers.errors.pop(trial_id, WORKER_DIED))
        elif NO_STORAGE in result:
            self.driver.lose(*key, result[NO_STORAGE], storage_failed=True)
        elif "failure" in result:
            self.driver.finish(*key, load(Failure, json.loads(result["failure"])), _epochs(result))
        elif "measurement" in result:
            self.driver.finish(*key, load(Measurement, json.loads(result["measurement"])), _epochs(result))
        else:  # stopped by the scheduler
            so_far = load(Measurement, json.loads(result["so_far"]))
            self.driver.finish(*key, so_far, _epochs(result), pruned=True)

    @contextmanager
    def _errors_kept(self) -> Iterator[None]:
        try:
            yield
        except NasError as error:
            self.error = error
            raise

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the results database is the log."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its parts for a recovery of its own, which is never used."""
        return {}

    def _config(self, assignment: Assignment) -> dict[str, Any]:
        prunable = self.schedulers.watches(assignment.job.proposal.prunable)
        return {
            "run": assignment.run,
            JOB: json.dumps(dump(assignment.job)),  # one string: Tune walks through nested configurations
            EVERY_EPOCH: prunable,
        }


class RunSchedulers(FIFOScheduler):
    """One of Tune's early-stopping schedulers for every run, so that only trials of one run compete."""

    def __init__(self, spec: StudySpec) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.spec = spec
        self.errors: dict[str, str] = {}
        """Why a trial's worker died, by Tune's trial id, until the searcher collects it."""
        self._schedulers: dict[int, TrialScheduler] = {}

    def watches(self, prunable: bool) -> bool:
        """Whether a trial is under a scheduler."""
        return prunable and self.spec.scheduler is not None

    def replay(self, history: Iterable[StoredTrial]) -> None:
        """Show the schedulers what they had seen before the study was interrupted."""
        for stored in history:
            if not self.watches(stored.trial.proposal.prunable):
                continue
            scheduler: Any = self._of(stored.run)
            past = PastTrial(f"{stored.run}-{stored.trial.number}")
            scheduler.on_trial_add(None, past)
            # The last epoch goes with the outcome, which no scheduler sees.
            for epoch in (epoch for epoch in stored.epochs if epoch.number < stored.trial.epochs):
                scheduler.on_trial_result(None, past, {"epoch": epoch.number, **epoch.metrics})
            scheduler.on_trial_remove(None, past)

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        if trial.config.get(EVERY_EPOCH):
            self._of(trial.config["run"]).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        if not trial.config.get(EVERY_EPOCH):
            return str(TrialScheduler.CONTINUE)
        return str(self._of(trial.config["run"]).on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:
        _forget_finished(tune_controller)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        self.errors[trial.trial_id] = _last_line(trial.error_file)
        _forget_finished(tune_controller)

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """None: Tune starts the trials in the order of their suggestion, without a search through all of them."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: see `StudySearcher`."""
        return {}

    def _of(self, run: int) -> TrialScheduler:
        if run not in self._schedulers:
            self._schedulers[run] = self._make()
        return self._schedulers[run]

    def _make(self) -> TrialScheduler:
        options = self.spec.scheduler
        assert options is not None
        common: dict[str, Any] = {
            "time_attr": "epoch",
            "metric": SCORE,
            "mode": "max",
            "grace_period": options.grace_epochs,
        }
        if options.name == "median":
            never: Any = math.inf  # a pause would forget the training
            return MedianStoppingRule(**common, min_time_slice=never)
        last = self.spec.training.epochs + 1  # the scheduler stops what reaches this, and a trial ends by itself
        return AsyncHyperBandScheduler(**common, max_t=last, reduction_factor=options.reduction_factor)


class PastTrial:
    """Stands in for a Tune trial of an interrupted study."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


@contextmanager
def _trainable_looked_up_once() -> Iterator[None]:
    """Remember the trainable, which all trials share and Tune asks the cluster for three times per trial.

    There is no public way; it saves a quarter of the time that Tune takes for a trial. Should a later Ray look it up
    elsewhere, nothing is changed.
    """
    names = [name for name in ("get_trainable_cls", "validate_trainable") if hasattr(tune_trial, name)]
    former = {name: getattr(tune_trial, name) for name in names}
    known = cache(get_trainable_cls)
    for name in names:
        setattr(tune_trial, name, known)
    try:
        yield
    finally:
        for name in names:
            setattr(tune_trial, name, former[name])


def _forget_finished(tune_controller: Any) -> None:
    """Drop finished trials, which are stored, from the list that Tune walks through several times per trial.

    There is no public way; without it the four-thousandth trial takes about half as long again as the first. Should a
    later Ray name these lists differently, they are left alone.
    """
    trials, actors = getattr(tune_controller, "_trials", []), getattr(tune_controller, "_trial_to_actor", {})
    trials[:] = [trial for trial in trials if trial in actors or not trial.is_finished()]


def _epochs(result: dict[str, Any]) -> list[Epoch]:
    return [load(Epoch, epoch) for epoch in json.loads(result["epochs"])]


def _last_line(path: str | None) -> str:
    """The exception at the end of a traceback that Tune wrote to a file."""
    text = Path(path).read_text(encoding="utf-8").strip() if path and Path(path).exists() else ""
    return text.splitlines()[-1] if text else WORKER_DIED


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM interrupts like Ctrl-C. Only the main thread may say so; in another, signals stay as they are."""

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        former = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
