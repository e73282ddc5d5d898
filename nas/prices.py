"""What trials cost before they start: counted on the real networks, or read from a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from controllers.cost import Cost, Unit
from controllers.trial import Kind, Proposal, Trial
from nas.tariff import Steps, Tariff, Throughput, table_tariff, training_tariff
from search_spaces.architecture import Architecture
from workers.lookup import Lookup
from workers.pricing import Pricer
from workers.training import Training


class Prices(Protocol):
    """The price list of one study."""

    def tariff(self, proposal: Proposal, throughput: Throughput) -> Tariff:
        """What the epochs of a proposal cost, in the unit of the study.

        Raises:
            TrialFailed: it cannot be trained. This goes for all that is asked here.
        """

    def epoch_cost(self, trial: Trial) -> Cost:
        """Cost of one epoch of a trial."""

    def conclusion_cost(self, trial: Trial) -> Cost:
        """Cost of what follows its last epoch."""

    def trial_cost(self, architecture: Architecture) -> Cost:
        """Cost of one ordinary trial, without the controller's own."""

    def final_cost(self, architecture: Architecture) -> Cost:
        """Cost of the final protocol."""


@dataclass(frozen=True, kw_only=True)
class TrainingPrices:
    """Prices of trials that are trained."""

    unit: Unit
    pricer: Pricer
    training: Training
    final_training: Training

    def tariff(self, proposal: Proposal, throughput: Throughput) -> Tariff:
        return training_tariff(
            self.unit,
            epoch=self.pricer.epoch_cost(proposal, self.training),
            controller_flops=proposal.controller_flops,
            epochs_per_trial=self.training.epochs,
            throughput=throughput,
            resumed_epochs=proposal.resumed_epochs,
            conclusion=self.pricer.conclusion_cost(proposal),
        )

    def conclusion_cost(self, trial: Trial) -> Cost:
        return self.pricer.conclusion_cost(trial.proposal)

    def epoch_cost(self, trial: Trial) -> Cost:
        is_final = trial.proposal.kind is Kind.FINAL
        return self.pricer.epoch_cost(trial.proposal, self.final_training if is_final else self.training)

    def trial_cost(self, architecture: Architecture) -> Cost:
        proposal = Proposal(architecture=architecture)
        epochs = self.pricer.epoch_cost(proposal, self.training) * self.training.epochs
        return replace(epochs + self.pricer.conclusion_cost(proposal), trials=1)

    def final_cost(self, architecture: Architecture) -> Cost:
        proposal = Proposal(kind=Kind.FINAL, architecture=architecture)
        epoch = self.pricer.epoch_cost(proposal, self.final_training)
        return replace(epoch * self.final_training.epochs, trials=1)


@dataclass(frozen=True, kw_only=True)
class TablePrices:
    """Prices of trials that a table answers. They are exact, also in seconds."""

    unit: Unit
    lookup: Lookup
    epochs: int
    """Of an ordinary trial."""

    def tariff(self, proposal: Proposal, throughput: Throughput) -> Tariff:
        if proposal.kind is Kind.CONTINUATION or proposal.architecture is None:
            return Steps(fixed=0, steps={})  # no table knows what training further would show
        return table_tariff(
            self.unit,
            costs=self.lookup.costs(
                proposal.architecture, proposal.epochs or self.epochs, resumed_epochs=proposal.resumed_epochs
            ),
            controller_flops=proposal.controller_flops,
            epochs_per_trial=self.epochs,
            resumed_epochs=proposal.resumed_epochs,
        )

    def epoch_cost(self, trial: Trial) -> Cost:
        raise AssertionError("a look-up is never lost halfway")

    def conclusion_cost(self, trial: Trial) -> Cost:
        raise AssertionError("a look-up is never lost halfway")

    def trial_cost(self, architecture: Architecture) -> Cost:
        return replace(self.lookup.cost(architecture, self.epochs), trials=1)

    def final_cost(self, architecture: Architecture) -> Cost:
        return Cost()
