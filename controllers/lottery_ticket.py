"""The lottery-ticket procedure: cut out the smallest weights, go back to the initial ones, and train what is left.

Frankle & Carbin, ICLR 2019, arXiv 1803.03635, strategy 1 of appendix B: masks grow round by round, and every round
starts from the weights that round 0 started from. A winning ticket is a round that is no less accurate than round 0
after an equally long training: the run delivers the sparsest. With `start: random` it is the paper's control, the same
masks over fresh weights. What masks save, and what not, is said in `controllers.magnitude_pruning`.

Difference from the paper: the winning ticket is found on validation data.
"""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from controllers.magnitude_pruning import MagnitudePruning
from search_spaces.relaxations.pruned import Start
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class LotteryTicket(MagnitudePruning):
    """Magnitude pruning that goes back to the initial weights in every round."""

    start: Literal["initial", "random"] = "initial"
    """Weights of a round: those that the first round started from, or fresh ones."""

    def start_of_round(self) -> Start:
        return self.start
