"""Progressive stacking: a trained network, put on top of itself, is a good start for one twice as deep.

Gong et al., ICML 2019, for BERT; difference from the paper: the depths in between are validated as well, and the best
of all is what the run delivers.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.growing import Stages, finishing, grown, seedling, stage_length
from controllers.trial import Proposal, Trial
from search_spaces.relaxations.chains import chain_of_depths
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class Stacking:
    """Doubles the depth until the deepest of the space, which is then trained for as long as the budget pays."""

    space: SearchSpace = Field(repr=False)
    seed: int
    trial_epochs: int = Field(default=1, repr=False)
    stage_epochs: int | None = Field(default=None, ge=1)
    """Epochs between two doublings; none: a quarter of an ordinary trial."""

    def __post_init__(self) -> None:
        self._chain, depths = chain_of_depths(self.space, method="stacking")
        self._schedule = doublings(sorted(depth for depth in depths if depth >= 1))
        self._stages = Stages("the stacked network")

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        return self._stages.turn(number, pending, self._grow)

    def tell(self, trial: Trial) -> None:
        self._stages.told.append(trial)

    def _grow(self) -> Proposal:
        """The next stage, or the last trial."""
        stages = self._stages
        epochs = stage_length(self.stage_epochs, self.trial_epochs)
        if not stages.trials:
            return seedling(self._chain, self._schedule[0], epochs=epochs)
        if stages.has_failed or len(stages.trials) == len(self._schedule):
            return finishing(stages.last())
        last = stages.last()
        assert last.architecture is not None
        blocks = stacked(last.architecture.depth, self._schedule[len(stages.trials)])
        return grown(self._chain, last, blocks, new_blocks="random", epochs=epochs)


def doublings(depths: Sequence[int]) -> tuple[int, ...]:
    """From the deepest down by halves, as near as the ascending depths come from above, and ascending again."""
    schedule = [depths[-1]]
    while schedule[0] > depths[0]:
        half = -(-schedule[0] // 2)
        smaller = [depth for depth in depths if depth < schedule[0]]
        schedule.insert(0, min((depth for depth in smaller if depth >= half), default=smaller[-1]))
    return tuple(schedule)


def stacked(depth: int, deeper: int) -> tuple[int, ...]:
    """The blocks 1..depth over and over: 3 to 6 is `1, 2, 3, 1, 2, 3`."""
    return tuple(level % depth + 1 for level in range(deeper))
