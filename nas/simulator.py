"""Runs a study over a table: no Ray, no training, a simulated clock.

Every run has a simulated cluster of its own, of `resources.workers` workers. A trial takes as long as the table says
that it took (or, where the table has no times, one microsecond per FLOP), and results come back in that order. Study,
ledger, controllers and store are those of real trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from controllers.trial import Kind, Measurement, Trial
from nas.log import Log
from nas.plan import Plan
from nas.prices import TablePrices
from nas.records import Phase, Record, RunPlan, StoredStudy, StoredTrial, StudyChanged, StudyStatus
from nas.run import Run
from nas.tariff import GUESSED_US_PER_FLOP, Throughput
from workers.lookup import Lookup

RECORDS_AT_A_TIME = 10_000


class Simulation:
    """One study over a table, run after run."""

    def __init__(self, plan: Plan, stored: StoredStudy | None = None) -> None:
        assert isinstance(plan.prices, TablePrices), "only a table can be simulated"
        self.plan = plan
        self.lookup = plan.prices.lookup
        self.num_runs_done = 0
        self.num_trials_done = 0
        """In this process."""
        self._stored = stored
        self._log = Log(len(stored.finished) if stored else 0)

    def records(self) -> Iterator[tuple[Record, ...]]:
        """Everything that happens, in the order of happening and in pieces that each may be stored as one."""
        failed = False
        for index, run_plan in enumerate(self.plan.runs):
            run = self._run(index, run_plan)
            for _ in self._cluster(index, run).work():
                self.num_trials_done += 1
                if len(self._log) >= RECORDS_AT_A_TIME:
                    yield self._log.drain()
            failed = failed or run.phase is Phase.FAILED
            self.num_runs_done += 1
        self._log.write(StudyChanged(status=StudyStatus.FAILED if failed else StudyStatus.COMPLETE))
        yield self._log.drain()

    def _run(self, index: int, run_plan: RunPlan) -> Run:
        spec = self.plan.spec
        controller = self.plan.make_controller(spec.methods[index // len(spec.seeds)], run_plan.seed)
        run = Run(run_plan, self.plan, controller, log=self._log, throughput=Throughput(GUESSED_US_PER_FLOP))
        if self._stored is not None:
            run.restore(self._stored.runs[index])
        return run

    def _cluster(self, index: int, run: Run) -> Cluster:
        cluster = Cluster(run, self.lookup, num_workers=self.plan.spec.resources.workers)
        if self._stored is not None:
            cluster.restore(self._stored.runs[index].trials)
        return cluster


class Cluster:
    """The simulated workers of one run."""

    def __init__(self, run: Run, lookup: Lookup, *, num_workers: int) -> None:
        self.run = run
        self.lookup = lookup
        self.num_workers = num_workers
        self._now_us = 0
        self._started_us: dict[int, int] = {}
        self._flying: list[tuple[int, int]] = []
        """A heap of the trials at work: when each will finish, and its number."""
        self._shown: dict[int, Measurement] = {}
        """What they will show."""

    def restore(self, trials: Sequence[StoredTrial]) -> None:
        """Set the clock to the last thing that happened. What was at work then goes on from when it started."""
        self._now_us = max((one.finished_us or 0 for one in trials), default=0)
        self._started_us = {one.trial.number: one.started_us or 0 for one in trials if one.order is None}

    def work(self) -> Iterator[None]:
        """Work until the run is done; yields after every trial that has finished."""
        while not self.run.done:
            self.run.clock_us = self._now_us
            while len(self._flying) < self.num_workers and (trial := self.run.propose()) is not None:
                self._begin(trial)
            if self._flying:
                self._now_us, number = heappop(self._flying)
                self.run.clock_us = self._now_us
                self.run.finish(number, self._shown.pop(number))
                yield

    def _begin(self, trial: Trial) -> None:
        architecture = trial.architecture
        assert architecture is not None, "a table has no price for a supernet, so none is granted"
        is_final = trial.proposal.kind is Kind.FINAL
        resumed = trial.proposal.resumed_epochs
        shown = (
            self.lookup.final(architecture)
            if is_final
            else self.lookup.measure(architecture, trial.epochs, resumed_epochs=resumed)
        )
        took_us = shown.cost.device_us or shown.cost.flops
        heappush(self._flying, (self._started_us.get(trial.number, self._now_us) + took_us, trial.number))
        self._shown[trial.number] = shown
