"""Between a study and whatever trains its trials: makes jobs, stores records, keeps the files.

Every step is one transaction: the study changes in memory, its records are stored, and only then are files that
nothing needs any more deleted. A driver that dies between two steps loses nothing that was stored.

Kept are the files of trials in flight, of each run's choice, and, while a run searches, of trials that others may go on
from or that its controller may yet recommend.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controllers.trial import Epoch, Kind, Trial
from nas.records import ArtifactSaved, EpochsReported, Phase, Record, StudyChanged, StudyStatus
from nas.run import Run
from nas.store import Store
from nas.study import Study
from search_spaces.errors import StoreError
from workers import flight
from workers.job import Job, Outcome


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One job for a worker."""

    run: int
    number: int
    job: Job


class Driver:
    """Turns the crank of one study."""

    def __init__(
        self, study: Study, store: Store, study_id: int, files: Path, *, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.study = study
        self.store = store
        self.study_id = study_id
        self.files = files
        self.on_change = on_change
        self._choices = {run.plan.index: run.choice for run in study.runs}
        self._searching = [run for run in study.runs if run.phase is Phase.SEARCHING]
        for run in study.runs:
            self._sweep(run)  # what a driver that died had stored as finished but not yet deleted
        self._store(StudyChanged(status=StudyStatus.RUNNING))

    @property
    def done(self) -> bool:
        """Whether the study is."""
        return self.study.done

    def next(self) -> Assignment | None:
        """The next job; None: wait, or done."""
        dispatch = self.study.propose()
        self._store(after=[record for run in self._searching for record in self._new_choice(run)])
        self._sweep_searched()
        if dispatch is None:
            return None
        run, trial = dispatch.run.plan.index, dispatch.trial
        return Assignment(run=run, number=trial.number, job=self._job(run, trial))

    def report(self, run: int, number: int, epochs: Sequence[Epoch]) -> None:
        """A worker reported epochs."""
        self._store(EpochsReported(run=run, number=number, epochs=tuple(epochs)))

    def finish(
        self, run: int, number: int, outcome: Outcome, epochs: Sequence[Epoch] = (), *, pruned: bool = False
    ) -> None:
        """A worker returned, with the last epochs it had not reported yet."""
        self.study.finish(run, number, outcome, pruned=pruned)
        reported = (EpochsReported(run=run, number=number, epochs=tuple(epochs)),) if epochs else ()
        self._conclude(run, number, *reported)

    def lose(self, run: int, number: int, reason: str, *, storage_failed: bool = False) -> None:
        """A worker died. What it had spent is in the trial's folder; if the watchdog ended it, so is the reason.

        Raises:
            StoreError: its storage failed, and retries are used up. That is no trial's fault, so none fails for it.
        """
        retries = self.study.plan.spec.limits.retries
        if storage_failed and self.study.runs[run].attempts.get(number, 0) >= retries:
            raise StoreError(f"trial {number} of run {run} cannot keep its files in {self.files}: {reason}")
        folder = self._folder(run, number)
        spent = flight.read_charges(folder / flight.PROGRESS)
        kept = flight.read_charges(folder / flight.KEPT)
        hung = flight.read_hung(folder)
        self.study.lose(run, number, spent=spent, kept=kept, reason=hung or reason, hopeless=hung is not None)
        self._conclude(run, number)

    def interrupt(self) -> None:
        """The driver stops before the study is done, perhaps because nothing can be stored any more."""
        with suppress(StoreError):
            self._store(StudyChanged(status=StudyStatus.INTERRUPTED))

    def _job(self, run: int, trial: Trial) -> Job:
        plan, limits, parent = self.study.plan, self.study.plan.spec.limits, trial.proposal.parent
        final = trial.proposal.kind is Kind.FINAL
        return Job(
            proposal=trial.proposal,
            space=plan.spec.space,
            task=plan.spec.task,
            training=plan.final_training if final else plan.spec.training,
            epochs=trial.epochs,
            seed=trial.seed,
            time_limit_s=limits.trial_seconds,
            folder=self._folder(run, trial.number),
            parent_folder=None if parent is None else self._folder(run, self.study.runs[run].lineage.source(parent)),
            checkpoint_s=limits.checkpoint_seconds,
            max_flops=self.study.runs[run].purse.max_flops(trial),
            max_device_us=self.study.runs[run].purse.max_device_us(trial),
        )

    def _folder(self, run: int, number: int) -> Path:
        return self.files / f"{run:03d}" / f"{number:06d}"

    def _conclude(self, run: int, number: int, *records: Record) -> None:
        """Store what happened, then delete the files that only the finished trial or the former choice needed."""
        state, former = self.study.runs[run], self._choices[run]
        self._store(*records, after=self._new_choice(state))
        for old in {number, former.number if former else number}:
            self._discard(state, old)

    def _new_choice(self, run: Run) -> list[Record]:
        """Where the model of a run's choice is, if it has changed."""
        index, choice = run.plan.index, run.choice
        if choice is None or choice is self._choices[index]:
            return []
        self._choices[index] = choice
        weights = self._folder(index, choice.number) / flight.WEIGHTS
        return [ArtifactSaved(run=index, number=choice.number, kind="weights", path=str(weights))]

    def _discard(self, run: Run, number: int) -> None:
        is_choice = run.choice is not None and run.choice.number == number
        if number not in run.pending and not run.may_need(number) and not is_choice:
            shutil.rmtree(self._folder(run.plan.index, number), ignore_errors=True)

    def _sweep(self, run: Run) -> None:
        for folder in (self.files / f"{run.plan.index:03d}").glob("*"):
            self._discard(run, int(folder.name))

    def _sweep_searched(self) -> None:
        """Delete what was kept for a search, once it is over."""
        for run in [run for run in self._searching if run.phase is not Phase.SEARCHING]:
            self._searching.remove(run)
            self._sweep(run)

    def _store(self, *before: Record, after: Sequence[Record] = ()) -> None:
        records = (*before, *self.study.drain(), *after)
        if records:
            self.store.record(self.study_id, records)
            self.on_change()
