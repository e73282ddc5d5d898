"""AdaNet: an ensemble grows member by member, each as deep as the last or one level deeper.

Cortes et al., ICML 2017, arXiv 1607.01097. Both candidates of a round start from the best ensemble so far, whose
members stay as they are; the one with the smaller objective joins. When neither improves it, the ensemble is complete,
and it is what the run delivers.

Differences from the paper: the objective that decides is measured on validation data, as the authors' later code
allows; members do not feed each other's layers.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.supernets import whole_supernet
from controllers.trial import Proposal, Status, Trial
from search_spaces.errors import SearchExhausted
from search_spaces.relaxations.chains import chain_of_depths
from search_spaces.relaxations.ensemble import Ensemble, weight_cost
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG, dump

CANDIDATES = 2
"""Per round: as deep as the last member, or deeper."""


@dataclass(kw_only=True, config=CONFIG)
class AdaNet:
    """Trial 0 is a member of the smallest depth; trials 2t - 1 and 2t are the candidates of round t."""

    space: SearchSpace = Field(repr=False)
    seed: int
    trial_epochs: int = Field(default=1, repr=False)
    stage_epochs: int | None = Field(default=None, ge=1)
    """Epochs of a candidate; none: those of an ordinary trial."""
    complexity: float = Field(default=0.001, ge=0)
    """Lambda: what the weight of a member costs, times the root of its depth."""
    sparsity: float = Field(default=0.0001, ge=0)
    """Beta: what the weight of any member costs."""

    def __post_init__(self) -> None:
        _, depths = chain_of_depths(self.space, method="adanet")
        self._depths = sorted(depths)
        self._trials: dict[int, Trial] = {}

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        round_number = (number + 1) // CANDIDATES
        if round_number == 0:
            return self._candidate((self._depths[0],), parent=None)
        best = self._best_before(round_number)
        if best is None:
            return None
        members = _members(best)
        deeper = [depth for depth in self._depths if depth > members[-1]]
        is_first = number % CANDIDATES == 1
        depth = members[-1] if is_first or not deeper else deeper[0]
        return self._candidate((*members, depth), parent=best)

    def tell(self, trial: Trial) -> None:
        self._trials[trial.number] = trial

    def _best_before(self, round_number: int) -> Trial | None:
        """The ensemble that a round starts from; None: the round before is not over.

        Raises:
            SearchExhausted: the round before brought nothing.
        """
        best: Trial | None = None
        for one in range(round_number):
            numbers = [0] if one == 0 else [CANDIDATES * one - 1, CANDIDATES * one]
            if not all(number in self._trials for number in numbers):
                return None
            complete = [trial for number in numbers if (trial := self._trials[number]).status is Status.COMPLETE]
            winner = min(complete, key=self._objective, default=None)
            if winner is None or (best is not None and self._objective(winner) >= self._objective(best)):
                raise SearchExhausted(f"round {one} brought no better ensemble")
            best = winner
        return best

    def _objective(self, trial: Trial) -> float:
        assert trial.measurement is not None
        options = Ensemble(complexity=self.complexity, sparsity=self.sparsity)
        penalty = sum(size * weight_cost(depth, options) for depth, size in enumerate(trial.measurement.profile))
        return trial.measurement.metrics["val_loss"] + penalty

    def _candidate(self, members: tuple[int, ...], *, parent: Trial | None) -> Proposal:
        ensemble = Ensemble(depths=members, complexity=self.complexity, sparsity=self.sparsity)
        return whole_supernet(
            {"name": "ensemble", **dump(ensemble)},
            epochs=self.stage_epochs or self.trial_epochs,
            parent=parent.number if parent else None,
            inherits={"members": len(members) - 1} if parent else {},
            keep=True,
        )


def _members(trial: Trial) -> tuple[int, ...]:
    return tuple(trial.proposal.relaxation["depths"])
