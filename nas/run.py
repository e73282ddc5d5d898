"""One method with one seed: its controller, its ledger, its trials.

A run searches until its budget or its controller is exhausted, trains its choice further with what is left, hands the
choice to the final protocol, and is done. The choice is the trial with the best score; once the search is over, it is
the one that the controller recommends, if it does. It does no I/O: everything that happens becomes a record in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controllers.controller import Controller, Recommending
from controllers.cost import Charge, ChargeKind, Cost, total
from controllers.seeded import without_seeds
from controllers.seeds import derive_seed
from controllers.trial import AS_LONG_AS_PAID, Kind, Measurement, Proposal, Status, Trial
from nas.ledger import Ledger
from nas.lineage import Lineage, identity
from nas.log import Log
from nas.plan import Plan
from nas.purse import Grant, Purse
from nas.records import (
    Account,
    Charged,
    Phase,
    RunChanged,
    RunPlan,
    StoredRun,
    StoredTrial,
    TrialFinished,
    TrialLost,
    TrialStarted,
)
from nas.tariff import Throughput
from search_spaces.errors import SearchExhausted, TrialFailed
from workers.job import Failure, Outcome

SEARCHED = (Kind.ARCHITECTURE, Kind.RELAXATION)
"""Kinds that the controller proposes and is told about."""


class Run:
    """The state of one run. `propose` and the three ways in which a trial ends are all that changes it."""

    def __init__(self, plan: RunPlan, study: Plan, controller: Controller, *, log: Log, throughput: Throughput) -> None:
        self.plan = plan
        self.study = study
        self.controller = controller
        self.log = log
        self.ledger = Ledger(plan.budget)
        self.purse = Purse(plan=plan, study=study, ledger=self.ledger, throughput=throughput)
        self.phase = Phase.SEARCHING
        self.stop_reason = ""
        self.choice: Trial | None = None
        self.num_trials = 0
        self.lineage = Lineage()
        self.pending: dict[int, Trial] = {}
        self.attempts: dict[int, int] = {}
        self._to_retry: list[int] = []
        self.clock_us: int | None = None
        """Simulated time since the run began; None on real workers."""
        self._measured: dict[str, Trial] = {}
        self._recommends = isinstance(without_seeds(controller), Recommending)
        self._recommendable: dict[int, Trial] = {}
        """By number: the trial that was trained where that one was measured. Empty if the controller has no say."""
        self._has_continued = False
        self._idle = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.phase.is_over

    @property
    def has_retry(self) -> bool:
        """Whether a trial waits to be handed to another worker."""
        return bool(self._to_retry)

    @property
    def spent_share(self) -> float:
        """Part of the budget that is spent or reserved."""
        return self.ledger.committed / max(self.ledger.budget, 1)

    def may_need(self, number: int) -> bool:
        """Whether the files of a finished trial may be needed yet, although it is not the choice."""
        is_needed = number in self._recommendable or self.lineage.is_needed(number)
        return self.phase is Phase.SEARCHING and is_needed

    def propose(self) -> Trial | None:
        """The next trial to hand to a worker; None while there is none, or when the run is done."""
        if self._to_retry:
            return self.pending[self._to_retry.pop(0)]
        trial = None
        while trial is None and not self.done:
            before = (self.phase, self.num_trials)
            trial = self._next()
            if before == (self.phase, self.num_trials):
                break  # only a pending trial can bring this run forward
        return trial

    def finish(self, number: int, outcome: Outcome, *, pruned: bool = False) -> None:
        """A worker returned `outcome` for trial `number`."""
        trial = self.pending.pop(number)
        if isinstance(outcome, Failure):
            finished = replace(trial, status=Status.FAILED, reason=outcome.reason)
        else:
            finished = replace(trial, status=Status.PRUNED if pruned else Status.COMPLETE, measurement=outcome)
        paid, excess = self.purse.settle(trial, outcome.charges)
        if excess:
            self.log.write(Charged(run=self.plan.index, number=number, charges=excess, account=Account.OVERSHOOT))
        self._conclude(finished, paid)

    def lose(
        self, number: int, *, spent: Sequence[Charge], kept: Sequence[Charge], reason: str, hopeless: bool = False
    ) -> None:
        """The worker of trial `number` died after spending `spent`, of which a checkpoint keeps `kept`.

        The epoch under way is charged whole, since nobody knows how far it got. The trial is tried again unless it is
        `hopeless`, its retries are used up, or the budget pays for no other attempt. It is shortened, if its proposal
        allows that, where only its own reservation can pay for the loss.
        """
        trial, attempt = self.pending[number], self.attempts.get(number, 0)
        under_way = self.purse.under_way(trial, total(spent))
        lost = Charge(kind=ChargeKind.LOST, cost=total(spent) - total(kept) + under_way)
        gives_up = hopeless or attempt >= self.study.spec.limits.retries
        grant = None if gives_up else self.purse.pay_loss(trial, lost, total(kept))
        if grant is None:
            reason = reason if hopeless else f"worker died {attempt + 1} times: {reason}"
            charges = (*spent, Charge(kind=ChargeKind.LOST, cost=under_way))
            self.finish(number, Failure(reason=reason, charges=charges))
            return
        self.attempts[number] = attempt + 1
        self.pending[number] = replace(trial, epochs=grant.epochs)
        self._to_retry.append(number)
        self.log.write(
            TrialLost(
                run=self.plan.index,
                number=number,
                attempt=attempt,
                epochs=grant.epochs,
                reserved=grant.reserved,
                charges=(lost,),
                account=Account.of(trial),
                reason=reason,
            )
        )

    def restore(self, stored: StoredRun) -> None:
        """Become the run that was stored, by telling the controller what it had been told, in the same order."""
        self.ledger.spent = stored.paid.get(Account.SEARCH, Cost()).atoms(self.plan.unit)
        finished = [one for one in stored.trials if one.order is not None]
        self.num_trials = len(stored.trials)
        for one in stored.trials:
            if one.order is None:
                self._restore_pending(one)
        log, self.log = self.log, Log()  # the past is already stored
        for one in sorted(finished, key=lambda one: one.order or 0):
            self._learn(one.trial, reused_from=one.reused_from)
        self.log = log
        self.phase, self.stop_reason = stored.phase, stored.stop_reason
        if stored.choice is not None:  # perhaps recommended when the search ended
            self.choice = next(one.trial for one in finished if one.trial.number == stored.choice)

    def _restore_pending(self, stored: StoredTrial) -> None:
        number = stored.trial.number
        self.pending[number] = stored.trial
        self.attempts[number] = stored.attempt
        self._to_retry.append(number)
        if stored.account is Account.SEARCH:
            self.ledger.reserve(number, stored.reserved)

    def _next(self) -> Trial | None:
        if self.phase is Phase.SEARCHING:
            return self._search()
        if self.pending:
            return None
        return self._continue() if self.phase is Phase.FINISHING else self._final()

    def _search(self) -> Trial | None:
        if self._idle >= self.study.spec.limits.idle_proposals:
            self._end_search(f"the last {self._idle} proposals were repeats or failed")
            return None
        try:
            proposal = self.controller.ask(self.num_trials, tuple(self.pending.values()))
        except SearchExhausted as error:
            self._end_search(str(error))
            return None
        if proposal is None:
            self._end_search("the controller waits, but no trial is running")
            return None
        if self.study.spec.reuse and proposal.architecture is not None:
            known = self._measured.get(identity(proposal))
            if known is not None:
                self._answer_from(known, proposal)
                return None
            if self.lineage.is_under_way(proposal, self.pending.values()):
                return None  # it will be answered from there
        try:
            self.lineage.check(proposal, wanted=self.purse.wanted(proposal))
            granted = self.purse.grant(proposal)
        except TrialFailed as error:
            self._refuse(proposal, str(error))
            return None
        if granted is None and self.purse.is_beyond_reach(proposal):
            self._refuse(proposal, self.purse.shortage(proposal))  # others may be cheaper
            return None
        if granted is None:
            self._end_search(self.purse.shortage(proposal))
            return None
        return self._start(proposal, granted)

    def _continue(self) -> Trial | None:
        if self._has_continued:
            self._enter(Phase.FINAL)
            return None
        proposal = replace(self._chosen(Kind.CONTINUATION), epochs=AS_LONG_AS_PAID, min_epochs=1)
        granted = self.purse.grant(proposal)
        if granted is None:
            self._enter(Phase.FINAL)
            return None
        return self._start(proposal, granted)

    def _final(self) -> Trial:
        return self._start(self._chosen(Kind.FINAL), Grant(epochs=self.study.final_training.epochs, reserved=0))

    def _chosen(self, kind: Kind) -> Proposal:
        """The choice once more, from its trained weights."""
        assert self.choice is not None
        chosen = self.choice.proposal
        again = Proposal(kind=kind, architecture=chosen.architecture, parent=self.choice.number, prunable=False)
        if not chosen.relaxation:
            return again
        return replace(again, relaxation=chosen.relaxation, recipe=chosen.recipe, recipe_options=chosen.recipe_options)

    def _start(self, proposal: Proposal, granted: Grant) -> Trial:
        trial = self._create(proposal, granted)
        self.pending[trial.number] = trial
        if Account.of(trial) is Account.SEARCH:
            self.ledger.reserve(trial.number, granted.reserved)
        return trial

    def _create(self, proposal: Proposal, granted: Grant) -> Trial:
        number = self.num_trials
        seed = self.lineage.seed(proposal)
        if seed is None:
            stream = ("final",) if proposal.kind is Kind.FINAL else ("trial", number)
            seed = derive_seed(self.study.spec.seed, self.plan.seed, *stream)
        trial = Trial(number=number, proposal=granted.settled(proposal), epochs=granted.epochs, seed=seed)
        self.num_trials += 1
        self.log.write(
            TrialStarted(
                run=self.plan.index,
                trial=trial,
                reserved=granted.reserved,
                account=Account.of(trial),
                clock_us=self.clock_us,
            )
        )
        return trial

    def _answer_from(self, known: Trial, proposal: Proposal) -> None:
        """Answer a repeat with the measurement of the earlier trial, for no more than the controller's own work."""
        self._conclude_at_once(
            proposal, known.epochs, Status.COMPLETE, measurement=known.measurement, reused_from=known.number
        )

    def _refuse(self, proposal: Proposal, reason: str) -> None:
        """A network that cannot be priced, or never be paid, fails before it costs anything."""
        self._conclude_at_once(proposal, 0, Status.FAILED, reason=reason)

    def _conclude_at_once(
        self,
        proposal: Proposal,
        epochs: int,
        status: Status,
        *,
        measurement: Measurement | None = None,
        reason: str = "",
        reused_from: int | None = None,
    ) -> None:
        paid = self.purse.pay_controller(proposal)
        if paid is None:
            self._end_search("budget spent: too little is left for the controller's own work")
            return
        trial = self._create(proposal, Grant(epochs=epochs, reserved=0))
        concluded = replace(trial, status=status, measurement=measurement, reason=reason)
        self._conclude(concluded, paid, reused_from=reused_from)

    def _conclude(self, trial: Trial, charges: tuple[Charge, ...], *, reused_from: int | None = None) -> None:
        self.log.write(
            TrialFinished(
                run=self.plan.index,
                trial=trial,
                charges=charges,
                account=Account.of(trial),
                order=self.log.next_order(),
                clock_us=self.clock_us,
                reused_from=reused_from,
            )
        )
        self._learn(trial, reused_from=reused_from)
        if trial.proposal.kind is Kind.FINAL:
            failed = trial.status is Status.FAILED
            self._enter(
                Phase.FAILED if failed else Phase.DONE, reason=f"final training: {trial.reason}" if failed else ""
            )

    def _learn(self, trial: Trial, *, reused_from: int | None) -> None:
        """Everything that a finished trial changes, now or in a replay."""
        self._has_continued = self._has_continued or trial.proposal.kind is Kind.CONTINUATION
        self.lineage.learn(trial, reused_from=reused_from)
        # A network that breaks as it is built costs nothing either, so that failures alone could go on for ever.
        taught_nothing = reused_from is not None or trial.status is Status.FAILED
        self._idle = self._idle + 1 if taught_nothing else 0
        if trial.proposal.kind in SEARCHED:
            self.controller.tell(trial)
        if trial.status is not Status.COMPLETE or not trial.proposal.choosable:
            return
        assert trial.measurement is not None
        is_whole = trial.measurement.epochs == self.purse.wanted(trial.proposal)
        if self.study.spec.reuse and trial.proposal.kind is Kind.ARCHITECTURE and is_whole:
            self._measured.setdefault(identity(trial.proposal), trial)
        if self._recommends and trial.proposal.kind in SEARCHED:
            source = trial.number if reused_from is None else reused_from
            self._recommendable[trial.number] = self._recommendable.get(source, trial)
        if self.choice is None or (trial.score or 0.0) > (self.choice.score or 0.0):
            self.choice = trial
            self.log.write(
                RunChanged(run=self.plan.index, phase=self.phase, stop_reason=self.stop_reason, choice=trial.number)
            )

    def _end_search(self, reason: str) -> None:
        if self.pending:
            return  # its result may free budget, or give the controller something to go on
        self.stop_reason = reason
        if isinstance(self.controller, Recommending) and (number := self.controller.recommend()) is not None:
            self.choice = self._recommendable[number]
        if self.choice is None:
            self._enter(Phase.FAILED, reason=f"no trial completed; {reason}")
        else:
            self._enter(Phase.FINISHING if self.study.spec.spend_rest else Phase.FINAL)

    def _enter(self, phase: Phase, *, reason: str = "") -> None:
        self.phase = phase
        self.stop_reason = reason or self.stop_reason
        choice = self.choice.number if self.choice else None
        self.log.write(RunChanged(run=self.plan.index, phase=phase, stop_reason=self.stop_reason, choice=choice))
