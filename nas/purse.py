"""One run's compute: what proposals are granted, what trials pay, what a dead worker has cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controllers.cost import Charge, ChargeKind, Cost, Unit, total
from controllers.trial import Proposal, Trial
from nas import quantities
from nas.ledger import Ledger
from nas.plan import Plan
from nas.records import Account, RunPlan
from nas.settlement import bill, cap
from nas.tariff import Tariff, Throughput


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a trial may do, and what is set aside for it."""

    epochs: int
    reserved: int
    """In the atoms of the run's unit, the controller's work included."""
    schedule_epochs: int | None = None
    """Epochs that a trial which pauses would be granted otherwise."""

    def settled(self, proposal: Proposal) -> Proposal:
        """The proposal, with its own lengths if only the grant could say them."""
        if self.schedule_epochs is None:
            return proposal
        return replace(proposal, epochs=self.epochs, schedule_epochs=self.schedule_epochs)


@dataclass(frozen=True, kw_only=True)
class Purse:
    """Prices and pays the trials of one run."""

    plan: RunPlan
    study: Plan
    ledger: Ledger
    throughput: Throughput

    def grant(self, proposal: Proposal) -> Grant | None:
        """The grant out of what is free: all that is wanted, or less if the proposal accepts that; None if it does not.

        Raises:
            TrialFailed: the network cannot be built or run.
        """
        costs = self._tariff(proposal)
        wanted, fewest = self.wanted(proposal), proposal.fewest_epochs(self.study.spec.training.epochs)
        amount = self.ledger.free
        if proposal.budget_share is not None:
            share = int(proposal.budget_share * self.plan.budget)
            amount = min(amount, max(share, costs.price(fewest)))
        epochs = min(wanted, costs.affordable(amount))
        if epochs < fewest:
            return None
        if proposal.pause is None:
            return Grant(epochs=epochs, reserved=costs.price(epochs))
        first = max(fewest, round(proposal.pause * epochs))
        return Grant(epochs=first, reserved=costs.price(first), schedule_epochs=epochs)

    def wanted(self, proposal: Proposal) -> int:
        """Epochs that the proposal asks for."""
        return proposal.epochs or self.study.spec.training.epochs

    def is_beyond_reach(self, proposal: Proposal) -> bool:
        """Whether the whole budget would not pay for it, as far as that can be known beforehand."""
        return self.plan.unit is not Unit.DEVICE_SECONDS and self._least(proposal) > self.plan.budget

    def shortage(self, proposal: Proposal) -> str:
        """Why there is no grant."""
        unit = self.plan.unit
        needed, left, whole = (
            quantities.amount(atoms / unit.atoms, unit)
            for atoms in (self._least(proposal), self.ledger.free, self.plan.budget)
        )
        if self.is_beyond_reach(proposal):
            return f"needs {needed}, the whole budget is {whole}"
        return f"budget spent: the next trial needs {needed}, {left} are left"

    def max_flops(self, trial: Trial) -> int | None:
        """Most FLOPs that the worker may spend on a search trial, if the budget counts FLOPs."""
        if self.plan.unit is not Unit.FLOPS or Account.of(trial) is not Account.SEARCH:
            return None
        return self.ledger.reservation(trial.number) - trial.proposal.controller_flops

    def max_device_us(self, trial: Trial) -> int | None:
        """Most device time that the worker may spend on a search trial, if the budget counts it."""
        if self.plan.unit is not Unit.DEVICE_SECONDS or Account.of(trial) is not Account.SEARCH:
            return None
        return self.ledger.reservation(trial.number)

    def settle(self, trial: Trial, charges: Sequence[Charge]) -> tuple[tuple[Charge, ...], tuple[Charge, ...]]:
        """Pay for a trial out of its reservation.

        Returns:
            What the trial's account pays, and the overshoot: what exceeds the reservation.
        """
        if Account.of(trial) is not Account.SEARCH:
            return tuple(charges), ()
        billed = bill(
            charges,
            controller_flops=trial.proposal.controller_flops,
            epochs_per_trial=self.study.spec.training.epochs,
            resumed_epochs=trial.proposal.resumed_epochs,
        )
        paid, excess = cap(billed, self.ledger.reservation(trial.number), self.plan.unit)
        self.ledger.settle(trial.number, total(paid).atoms(self.plan.unit))
        return paid, excess

    def pay_controller(self, proposal: Proposal) -> tuple[Charge, ...] | None:
        """Pay for the controller's work on a proposal that needs no trial; None if there is too little."""
        own = Charge(kind=ChargeKind.CONTROLLER, cost=Cost(flops=proposal.controller_flops))
        amount = own.cost.atoms(self.plan.unit)
        if amount > self.ledger.free:
            return None
        self.ledger.charge(amount)
        return (own,) if proposal.controller_flops else ()

    def pay_loss(self, trial: Trial, lost: Charge, kept: Cost) -> Grant | None:
        """Pay for an attempt that was lost: out of what is free, else out of the trial's own reservation.

        Returns:
            The grant for the next attempt, which goes on from what is `kept`: shortened if the reservation had to pay;
            None if the trial cannot be shortened that far.
        """
        if Account.of(trial) is not Account.SEARCH:
            return Grant(epochs=trial.epochs, reserved=0)
        amount, reserved = lost.cost.atoms(self.plan.unit), self.ledger.reservation(trial.number)
        if amount <= self.ledger.free:
            self.ledger.charge(amount)
            return Grant(epochs=trial.epochs, reserved=reserved)
        costs = self._tariff(trial.proposal)
        epochs = min(trial.epochs, costs.affordable(self.ledger.free + reserved - amount))
        if epochs < max(trial.proposal.min_epochs or trial.epochs, trial.proposal.resumed_epochs + max(kept.epochs, 1)):
            return None
        self.ledger.release(trial.number)
        self.ledger.charge(amount)
        shortened = Grant(epochs=epochs, reserved=costs.price(epochs))
        self.ledger.reserve(trial.number, shortened.reserved)
        return shortened

    def under_way(self, trial: Trial, spent: Cost) -> Cost:
        """The epoch in which a worker died, or what follows the last, charged whole: nobody knows how far it got."""
        is_trained = trial.proposal.resumed_epochs + spent.epochs >= trial.epochs
        prices = self.study.prices
        lost = prices.conclusion_cost(trial) if is_trained else prices.epoch_cost(trial)
        return replace(lost, device_us=self.throughput.predict_us(lost.flops))

    def _least(self, proposal: Proposal) -> int:
        """Atoms that it costs at least."""
        return self._tariff(proposal).price(proposal.fewest_epochs(self.study.spec.training.epochs))

    def _tariff(self, proposal: Proposal) -> Tariff:
        return self.study.prices.tariff(proposal, self.throughput)
