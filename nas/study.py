"""The whole logic of a study, without any I/O of its own.

`propose()` says what to train next, `finish` and `lose` say what came of it; everything that happens comes out of
`drain()` as records. A driver turns the crank: Ray Tune, a simulator, or a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controllers.cost import Charge
from controllers.trial import Measurement, Trial
from nas.log import Log
from nas.plan import Plan
from nas.records import Phase, Record, StoredStudy, StudyChanged, StudyStatus
from nas.run import Run
from nas.tariff import GUESSED_US_PER_FLOP, Throughput
from workers.job import Outcome


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """A trial to hand to a worker."""

    run: Run
    trial: Trial

    @property
    def attempt(self) -> int:
        """0 for the first."""
        return self.run.attempts.get(self.trial.number, 0)


class Study:
    """All runs of a study. At most `resources.workers` trials are in flight."""

    def __init__(self, plan: Plan, stored: StoredStudy | None = None) -> None:
        self.plan = plan
        self.throughput = Throughput(GUESSED_US_PER_FLOP)
        self.log = Log(len(stored.finished) if stored else 0)
        controllers = (plan.make_controller(method, seed) for method in plan.spec.methods for seed in plan.spec.seeds)
        self.runs = tuple(
            Run(run, plan, controller, log=self.log, throughput=self.throughput)
            for run, controller in zip(plan.runs, controllers, strict=True)
        )
        self._in_flight: set[tuple[int, int]] = set()
        self._active = list(self.runs)
        self._closed = False
        if stored is not None:
            self._restore(stored)

    @property
    def done(self) -> bool:
        """Whether every run is done."""
        return all(run.done for run in self.runs)

    def propose(self) -> Dispatch | None:
        """The next trial, from the run that has committed least of its budget; None: wait, or the study is done.

        A trial whose worker died goes before all others, so that it makes no difference whether the driver died too.
        """
        if len(self._in_flight) >= self.plan.spec.resources.workers:
            return None
        self._active = sorted(
            (run for run in self._active if not run.done),
            key=lambda run: (not run.has_retry, run.spent_share, run.plan.index),
        )
        for run in self._active:
            trial = run.propose()
            if trial is not None:
                self._in_flight.add((run.plan.index, trial.number))
                return Dispatch(run=run, trial=trial)
        self._close_if_done()
        return None

    def finish(self, run: int, number: int, outcome: Outcome, *, pruned: bool = False) -> None:
        """A worker returned."""
        self._in_flight.remove((run, number))
        if isinstance(outcome, Measurement):
            self.throughput.observe(outcome.cost)
        self.runs[run].finish(number, outcome, pruned=pruned)
        self._close_if_done()

    def lose(
        self,
        run: int,
        number: int,
        *,
        spent: Sequence[Charge],
        kept: Sequence[Charge],
        reason: str,
        hopeless: bool = False,
    ) -> None:
        """A worker died after spending `spent`, of which its last checkpoint keeps `kept`."""
        self._in_flight.remove((run, number))
        self.runs[run].lose(number, spent=spent, kept=kept, reason=reason, hopeless=hopeless)
        self._close_if_done()

    def drain(self) -> tuple[Record, ...]:
        """What has happened since the last call."""
        return self.log.drain()

    def _restore(self, stored: StoredStudy) -> None:
        for run, stored_run in zip(self.runs, stored.runs, strict=True):
            run.restore(stored_run)
        for one in stored.finished:
            if one.trial.measurement is not None and one.reused_from is None:
                self.throughput.observe(one.trial.measurement.cost)

    def _close_if_done(self) -> None:
        if self.done and not self._closed:
            self._closed = True
            failed = any(run.phase is Phase.FAILED for run in self.runs)
            self.log.write(StudyChanged(status=StudyStatus.FAILED if failed else StudyStatus.COMPLETE))
