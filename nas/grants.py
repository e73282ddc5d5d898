"""How much of a run's free budget a proposal gets."""

from __future__ import annotations

from dataclasses import dataclass

from controllers.trial import Proposal
from nas.plan import Plan
from nas.records import RunPlan
from nas.tariff import Tariff, Throughput, tariff


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a trial may do, and what is set aside for it."""

    epochs: int
    reserved: int
    """In the atoms of the run's unit; controller's work included."""


@dataclass(frozen=True, kw_only=True)
class Grants:
    """Prices the proposals of one run."""

    plan: RunPlan
    study: Plan
    throughput: Throughput

    def grant(self, proposal: Proposal, free: int) -> Grant | None:
        """The grant out of `free` atoms: all that is wanted, or less if the proposal accepts that; None if it does not.

        Raises:
            TrialFailed: the network cannot be built or run.
        """
        costs = self.tariff(proposal)
        amount = free
        if proposal.budget_share is not None:
            amount = min(free, int(proposal.budget_share * self.plan.budget))
        wanted = self.wanted(proposal)
        epochs = min(wanted, costs.affordable(amount))
        fewest = wanted if proposal.min_epochs is None else min(proposal.min_epochs, wanted)
        return Grant(epochs=epochs, reserved=costs.price(epochs)) if epochs >= fewest else None

    def wanted(self, proposal: Proposal) -> int:
        """Epochs that the proposal asks for."""
        return proposal.epochs or self.study.spec.training.epochs

    def shortage(self, proposal: Proposal, free: int) -> str:
        """Why there is no grant."""
        unit = self.plan.unit
        needed = self.tariff(proposal).price(proposal.min_epochs or self.wanted(proposal))
        return f"budget spent: the next trial needs {needed / unit.atoms:.4g} {unit}, {free / unit.atoms:.4g} are left"

    def tariff(self, proposal: Proposal) -> Tariff:
        """What the epochs of a search trial cost."""
        return tariff(
            self.plan.unit,
            epoch=self.study.epoch_cost(proposal),
            controller_flops=proposal.controller_flops,
            epochs_per_trial=self.study.spec.training.epochs,
            throughput=self.throughput,
        )
