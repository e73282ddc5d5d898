"""AutoGrow: append a block every few epochs until it no longer helps (Wen et al., KDD 2020, arXiv 1906.02909).

Growing is periodic, not at convergence, and new blocks are random: the paper finds both better than waiting, and than
blocks that preserve the function.

Differences from the paper: one stage of blocks grows; the decision uses validation data, where the authors' code reads
test data; of the depths grown, the one with the best validation accuracy is trained on, not the last.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.growing import NewBlocks, Stages, check_identities, finishing, grown, seedling
from controllers.trial import Proposal, Trial
from search_spaces.inheritance import NEW
from search_spaces.relaxations.chains import chain_of_depths
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class AutoGrow:
    """Grows from the smallest depth of the space to the next, and the next."""

    space: SearchSpace = Field(repr=False)
    seed: int
    stage_epochs: int = Field(default=3, ge=1)
    """Epochs between two growths (section 3.2: K)."""
    patience: int = Field(default=3, ge=1)
    """Growths without a gain after which growing stops. The paper, whose networks end deeper, waits for longer."""
    min_gain: float = Field(default=0.0005, ge=0)
    """Validation accuracy that counts as a gain: 0.05 points, as in the paper."""
    new_blocks: NewBlocks = "random"
    """How new blocks start; `identity`: they pass on their input."""

    def __post_init__(self) -> None:
        self._chain, depths = chain_of_depths(self.space, method="autogrow")
        self._depths = sorted(depths)
        if self.new_blocks == "identity":
            check_identities(self._chain, method="autogrow")
        self._stages = Stages("the grown network")

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        return self._stages.turn(number, pending, self._grow)

    def tell(self, trial: Trial) -> None:
        self._stages.told.append(trial)

    def _grow(self) -> Proposal:
        """The next stage, or the last trial."""
        stages = self._stages
        if not stages.trials:
            return seedling(self._chain, self._depths[0], epochs=self.stage_epochs)
        if stages.has_failed or len(stages.trials) == len(self._depths) or self._has_stalled():
            return finishing(stages.best())
        last, depth = stages.last(), self._depths[len(stages.trials)]
        assert last.architecture is not None
        kept = range(1, last.architecture.depth + 1)
        blocks = [*kept, *[NEW] * (depth - len(kept))]
        return grown(self._chain, last, blocks, new_blocks=self.new_blocks, epochs=self.stage_epochs)

    def _has_stalled(self) -> bool:
        """Whether the last growths have all failed to beat what was there before them."""
        scores, patience = self._stages.scores, self.patience
        return len(scores) > patience and max(scores[-patience:]) < max(scores[:-patience]) + self.min_gain
