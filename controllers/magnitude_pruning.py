"""Magnitude pruning: train, cut out the smallest weights, train on what is left, and again.

Han et al., NeurIPS 2015, arXiv 1506.02626. Every round is a trial that starts from the weights of the one before it,
and the masks travel with the weights. Round 0 is the dense network. What the run delivers is the sparsest round that is
no less accurate than that on validation data.

Zeros in dense kernels save no time, and all rounds have the inference FLOPs of the dense network; the effective ones,
as if every zero were skipped, are the sum of a round's profile (`search_spaces.pruning`). The final training is that of
the architecture, which is dense: what pruning found is in the delivered weights.

Differences from the paper: the smallest weights are a share of those that are left, not what is below a multiple of
their deviation; every round has the study's own learning rates, where the paper divides them by ten or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.supernets import whole_supernet
from controllers.trial import Proposal, Status, Trial
from search_spaces.architecture import Option
from search_spaces.errors import SearchExhausted
from search_spaces.pruning import Scope
from search_spaces.relaxations.pruned import Pruned, Start
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG, dump


@dataclass(kw_only=True, config=CONFIG)
class MagnitudePruning:
    """One architecture, dense and then sparser by the round; all rounds have equal parts of the budget."""

    space: SearchSpace = Field(repr=False)
    seed: int
    architecture: Mapping[str, Option] = Field(default_factory=dict)
    """Decisions by name; of those not named, depths are the largest, and the others take their first option."""
    num_rounds: int = Field(default=7, ge=1)
    """Rounds after the dense one. Seven at a rate of 0.2 leave 21 % of the weights."""
    rate: float = Field(default=0.2, gt=0, lt=1)
    """Share of the weights left that a round cuts out."""
    output_rate: float = Field(default=0.1, ge=0, lt=1)
    """The same, of the last layer."""
    scope: Scope = "layer"
    """Whether every layer loses its share, or, global, all but the last are taken together."""

    def __post_init__(self) -> None:
        pruned = Pruned(architecture=self.architecture, start=self.start_of_round())
        pruned.check(self.space)
        self._dense = whole_supernet(
            {"name": "pruned", **dump(pruned)},
            budget_share=1 / (self.num_rounds + 1),
            keep=True,
        )
        self._told: dict[int, Trial] = {}

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        if number == 0:
            return self._dense
        before = [self._told[index] for index in range(number) if index in self._told]
        if failed := [trial for trial in before if trial.status is not Status.COMPLETE]:
            raise SearchExhausted(f"round {failed[0].number} failed: {failed[0].reason}")
        if number > self.num_rounds:
            raise SearchExhausted(f"all {self.num_rounds} rounds are trained")
        if number - 1 not in self._told:
            return None
        inherits = {"rate": self.rate, "output_rate": self.output_rate, "scope": self.scope}
        return replace(self._dense, parent=number - 1, inherits=inherits)

    def tell(self, trial: Trial) -> None:
        self._told[trial.number] = trial

    def start_of_round(self) -> Start:
        """The weights that a round starts from: those that the round before has trained."""
        return "trained"

    def recommend(self) -> int | None:
        """The last round that is no less accurate than the dense network."""
        complete = {number: trial for number, trial in self._told.items() if trial.status is Status.COMPLETE}
        if 0 not in complete:
            return None
        dense = complete[0].score or 0.0
        return max(number for number, trial in complete.items() if (trial.score or 0.0) >= dense)
