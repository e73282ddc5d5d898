"""What happens in a study, as values: the lines of the log that the results database keeps.

The study returns records and the driver stores them, several in one transaction. Reading all of them back
gives a `StoredStudy`, from which the same study can be built again and continued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from controllers.cost import Charge, Cost, Unit
from controllers.trial import Epoch, Kind, Trial


class Account(StrEnum):
    """Which purse pays."""

    SEARCH = "search"
    """Counts against the run's budget."""
    FINAL = "final"
    """The final protocol, the same for every run."""
    OVERSHOOT = "overshoot"
    """Device time that a trial took beyond its grant. Only a budget of device seconds knows it."""

    @classmethod
    def of(cls, trial: Trial) -> Account:
        """The purse that pays for a trial."""
        return cls.FINAL if trial.proposal.kind is Kind.FINAL else cls.SEARCH


class Phase(StrEnum):
    """Where a run stands."""

    SEARCHING = "searching"
    FINISHING = "finishing"
    """Training the choice further with what the search left of the budget."""
    FINAL = "final"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether the run is at its end."""
        return self in (Phase.DONE, Phase.FAILED)


class StudyStatus(StrEnum):
    """Where a study stands."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """One method with one seed, as the study file asked for it."""

    index: int
    """Position within the study, from 0."""
    label: str
    """What tables and plots call the method."""
    method: str
    options: Mapping[str, Any]
    seed: int
    unit: Unit
    budget: int
    """In the atoms of the unit."""


@dataclass(frozen=True, kw_only=True)
class TrialStarted:
    """A trial was granted its compute and handed to a worker."""

    run: int
    trial: Trial
    reserved: int
    """In the atoms of the run's unit."""
    account: Account
    clock_us: int | None = None
    """Simulated time since the run began, in microseconds; None on real workers."""


@dataclass(frozen=True, kw_only=True)
class EpochsReported:
    """A running trial reported. An epoch reported again, by a later attempt, replaces the earlier report."""

    run: int
    number: int
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True, kw_only=True)
class TrialLost:
    """The worker died. The trial is tried again."""

    run: int
    number: int
    attempt: int
    """The attempt that was lost, 0 for the first."""
    epochs: int
    """What the next attempt is granted, as is `reserved`: less than before if nothing else could pay for the loss."""
    reserved: int
    charges: tuple[Charge, ...]
    account: Account
    reason: str


@dataclass(frozen=True, kw_only=True)
class TrialFinished:
    """A trial is COMPLETE, PRUNED or FAILED."""

    run: int
    trial: Trial
    charges: tuple[Charge, ...]
    """What the run pays: only the controller's work for a trial answered from an earlier one."""
    account: Account
    order: int
    """Position among all trials that the study finished."""
    clock_us: int | None = None
    """As in `TrialStarted`."""
    reused_from: int | None = None
    """Number of the trial of the same run whose measurement this one shares."""


@dataclass(frozen=True, kw_only=True)
class Charged:
    """Compute that no single result accounts for: a trial's overshoot, or the controller's own work."""

    run: int
    number: int | None = None
    charges: tuple[Charge, ...]
    account: Account


@dataclass(frozen=True, kw_only=True)
class RunChanged:
    """A run entered another phase, or chose another trial. All fields replace what was stored."""

    run: int
    phase: Phase
    stop_reason: str
    """Why the search ended; empty while it goes on."""
    choice: int | None
    """Number of the trial whose model the run delivers."""


@dataclass(frozen=True, kw_only=True)
class ArtifactSaved:
    """A file of a trial was written. The latest of each kind counts."""

    run: int
    number: int
    kind: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Noted:
    """Something that a person may want to know."""

    run: int | None = None
    number: int | None = None
    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class StudyChanged:
    """The study as a whole started, stopped or ended."""

    status: StudyStatus


Record = (
    TrialStarted
    | EpochsReported
    | TrialLost
    | TrialFinished
    | Charged
    | RunChanged
    | ArtifactSaved
    | Noted
    | StudyChanged
)


@dataclass(frozen=True, kw_only=True)
class StoredTrial:
    """A trial that was started. One that is still RUNNING has to be dispatched again as it stands."""

    run: int
    trial: Trial
    account: Account
    reserved: int
    attempt: int
    """Which attempt is the current one, 0 for the first."""
    epochs: tuple[Epoch, ...]
    """Everything it reported, in the order of the epochs."""
    order: int | None
    """Position among all trials that the study finished; None while RUNNING."""
    started_us: int | None = None
    """When it started on the simulated clock."""
    finished_us: int | None = None
    """When it finished on the simulated clock."""
    reused_from: int | None


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run as far as it got."""

    plan: RunPlan
    phase: Phase
    stop_reason: str
    choice: int | None
    paid: Mapping[Account, Cost]
    """Sum of the charges of every account."""
    trials: tuple[StoredTrial, ...]
    """By number: what the controller was asked for, in the order of asking."""


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """Everything that it takes to go on with a study."""

    id: int
    name: str
    spec: Mapping[str, Any]
    status: StudyStatus
    versions: Mapping[str, str]
    runs: tuple[StoredRun, ...]

    @property
    def plans(self) -> tuple[RunPlan, ...]:
        """What the runs were meant to be."""
        return tuple(run.plan for run in self.runs)

    @property
    def finished(self) -> tuple[StoredTrial, ...]:
        """Finished trials of all runs in the order in which the controllers were told."""
        done = (stored for run in self.runs for stored in run.trials if stored.order is not None)
        return tuple(sorted(done, key=lambda stored: stored.order or 0))

    @property
    def running(self) -> tuple[StoredTrial, ...]:
        """Trials in flight, by run and number."""
        return tuple(stored for run in self.runs for stored in run.trials if stored.order is None)


@dataclass(frozen=True, kw_only=True)
class StudySummary:
    """One line of the list of studies."""

    id: int
    name: str
    status: StudyStatus
    created_at: datetime
    num_runs: int
    num_trials: int
    """Trials started."""
