"""Search over exit thresholds by any method, on logits that are computed once (SCAN: Zhang et al., NeurIPS 2019).

Nothing is trained and no network runs: the logits of all exits on validation data, the labels and the FLOPs of every
exit say what any thresholds would do. SCAN's fitness is not in its authors' code; here it is the accuracy less the mean
FLOPs, as a share of those of the whole network, at a price.

Shapes: B batch, K classes, E exits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from controllers.controller import Controller
from controllers.evolution import Evolution
from controllers.grid import Grid
from controllers.seeded import Seeded
from controllers.trial import SCORE, Measurement, Status, Trial
from search_spaces.dynamic.exit_rules import ExitRule
from search_spaces.dynamic.operating_point import operating_point
from search_spaces.dynamic.threshold_space import DIGITS, ThresholdSpace, rule_of
from search_spaces.errors import SearchExhausted
from search_spaces.operating_points import OperatingPoint

NUM_TIED = 50
"""Points with one threshold for all exits that the search begins with: about a quarter of its evaluations."""


@dataclass(frozen=True, kw_only=True)
class CachedExits:
    """What a trained network says at every exit about one split of the data."""

    y_EBK: Tensor
    """Logits."""
    y_B: Tensor
    """Labels."""
    flops: Sequence[int]
    """Of an input that takes each exit (`search_spaces.dynamic.operating_point.exit_flops`)."""

    def point(self, rule: ExitRule) -> OperatingPoint:
        """Where a rule puts the network."""
        return operating_point(self.y_EBK, self.y_B, rule.exits(self.y_EBK), self.flops)

    def fitness(self, rule: ExitRule, *, price: float) -> float:
        """Accuracy less cost, where `price` is what all FLOPs of the whole network are worth, in accuracy."""
        point = self.point(rule)
        return point.accuracy - price * point.mean_flops / max(self.flops)


def search(controller: Controller, exits: CachedExits, *, price: float, num_evaluations: int) -> ExitRule:
    """Ask, evaluate and tell, until so many points of a `ThresholdSpace` are evaluated or none is left.

    To the method, the fitness stands for the accuracy. Returns the fittest rule, the first of equals.
    """
    scores: dict[ExitRule, float] = {}
    for number in range(num_evaluations):
        try:
            proposal = controller.ask(number)
        except SearchExhausted:
            break
        assert proposal is not None, "nothing is pending that a method could wait for"
        assert proposal.architecture is not None, "this is no search for supernets"
        rule = rule_of(proposal.architecture)
        scores[rule] = exits.fitness(rule, price=price)
        measured = Measurement(
            metrics={SCORE: scores[rule]}, charges=(), epochs=0, num_parameters=None, inference_flops=None
        )
        controller.tell(
            Trial(number=number, proposal=proposal, epochs=0, seed=0, status=Status.COMPLETE, measurement=measured)
        )
    return max(scores, key=lambda rule: scores[rule])


def seeded_evolution(space: ThresholdSpace, *, seed: int) -> Controller:
    """SCAN's genetic search as aging evolution, after some points with one threshold for all exits.

    The settings are for some two hundred evaluations. A fitness that has no noise allows for a tournament of everybody.
    """
    tied = Grid(space=space, seed=seed, over=DIGITS, tied=True).points()
    first = tied[:: max(1, len(tied) // NUM_TIED)]
    return Seeded(controller=Evolution(space=space, seed=seed, population=NUM_TIED, tournament=NUM_TIED), first=first)
