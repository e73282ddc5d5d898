"""The Ray Tune trainable: one job in, one outcome out.

One of the three files that know Ray. What a network does wrong comes back as data, and storage that fails as a
report of its own; only a worker that dies surfaces as an error of the Tune trial.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Timer
from typing import Any

import torch
from ray import tune

from controllers.trial import SCORE, Epoch, Measurement
from search_spaces.values import dump, load
from workers import flight
from workers.job import Job, Outcome
from workers.train import run

JOB = "job"
NO_STORAGE = "no_storage"
"""Key of a report: the worker is well, but cannot read or write its files."""
WARM_UP = "warm_up"
EVERY_EPOCH = "report_every_epoch"
MEETING_S = 30.0
POLL_S = 0.02
REPORT_S = 1.0
"""Least time between two reports of a trial that no scheduler watches."""


def train_job(config: Mapping[str, Any]) -> None:
    """Train the job (JSON text) in `config` and report its epochs and its outcome."""
    load_torch()
    if WARM_UP in config:
        meet(Path(config[WARM_UP][0]), num_workers=config[WARM_UP][1])
        tune.report({"done": True})
        return
    job = load(Job, json.loads(config[JOB]))
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reporter = Reporter(every_epoch=config[EVERY_EPOCH], last_epoch=job.epochs)
    try:
        with watchdog(job):
            outcome = run(job, device=device, report=reporter.epoch)
    except OSError as error:
        tune.report({NO_STORAGE: f"{type(error).__name__}: {error}", "done": True})
        return
    reporter.outcome(outcome)


class Reporter:
    """Sends epochs to the driver in bundles, and the outcome at the end."""

    def __init__(self, *, every_epoch: bool, last_epoch: int) -> None:
        self.every_epoch = every_epoch
        self.last_epoch = last_epoch
        self._epochs: list[dict[str, Any]] = []
        self._sent_at = time.monotonic()

    def epoch(self, epoch: Epoch, so_far: Measurement) -> None:
        """Send this epoch, now or with the next ones. Does not return if the scheduler stops the trial here."""
        self._epochs.append(dump(epoch))
        if epoch.number == self.last_epoch:
            return  # goes with the outcome: nobody should stop a trial that is complete
        if self.every_epoch or time.monotonic() - self._sent_at >= REPORT_S:
            tune.report({"epochs": self._bundle(), "epoch": epoch.number, **epoch.metrics, "so_far": _text(so_far)})

    def outcome(self, outcome: Outcome) -> None:
        """Send what came of the trial."""
        key = "measurement" if isinstance(outcome, Measurement) else "failure"
        score = outcome.metrics[SCORE] if isinstance(outcome, Measurement) else 0.0
        # `done` in the report itself saves Tune a second round trip to learn that the function returned.
        tune.report(
            {"epochs": self._bundle(), "epoch": outcome.epochs, SCORE: score, key: _text(outcome), "done": True}
        )

    def _bundle(self) -> str:
        bundle = json.dumps(self._epochs)
        self._epochs.clear()
        self._sent_at = time.monotonic()
        return bundle


def _text(value: object) -> str:
    """Nested values travel as one string: Tune flattens, copies and compares every entry of a result."""
    return json.dumps(dump(value))


@cache
def load_torch() -> None:
    """Make one optimizer: torch then imports its compiler, which takes seconds that no trial should pay for."""
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])


def meet(folder: Path, *, num_workers: int) -> None:
    """Wait until `num_workers` processes have come here, or until some are clearly not coming."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + MEETING_S
    while len(list(folder.iterdir())) < num_workers and time.monotonic() < deadline:
        time.sleep(POLL_S)


@contextmanager
def watchdog(job: Job) -> Iterator[None]:
    """Ends this process when the job's time is up: the only way to stop a network that never returns."""
    if job.time_limit_s is None:
        yield
        return
    timer = Timer(job.time_limit_s, _end_process, (job,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_process(job: Job) -> None:
    if job.folder is not None:
        flight.write_hung(job.folder, f"hung: still running after {job.time_limit_s:g} s")
    os._exit(1)
