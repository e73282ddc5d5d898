"""Net2DeeperNet: deepen a trained network by blocks that start as identities (Chen, Goodfellow & Shlens, ICLR 2016).

arXiv 1511.05641. The deeper network computes what its teacher computed and goes on from there. New blocks stand evenly
between the old ones; a deepening that does not help ends the growth, and the best network so far is trained on.

Difference from the paper, which deepens by hand: depth doubles, or comes as near to that as the space allows.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.growing import NewBlocks, Stages, check_identities, finishing, grown, seedling, stage_length
from controllers.trial import Proposal, Trial
from search_spaces.errors import InvalidInput
from search_spaces.inheritance import NEW
from search_spaces.relaxations.chains import chain_of_depths
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class Net2Deeper:
    """Grows from the smallest depth of at least 1, about twofold every time."""

    space: SearchSpace = Field(repr=False)
    seed: int
    trial_epochs: int = Field(default=1, repr=False)
    stage_epochs: int | None = Field(default=None, ge=1)
    """Epochs between two deepenings; none: a quarter of an ordinary trial."""
    min_gain: float = Field(default=0.0005, ge=0)
    """Validation accuracy by which a deeper network has to beat its teacher."""
    new_blocks: NewBlocks = "identity"
    """How new blocks start; `random` is the paper's control."""

    def __post_init__(self) -> None:
        self._chain, depths = chain_of_depths(self.space, method="net2deeper")
        self._depths = sorted(depth for depth in depths if depth >= 1)
        if self._chain.tied:
            raise InvalidInput("net2deeper inserts blocks of their own: space.tied must be false")
        if self.new_blocks == "identity":
            check_identities(self._chain, method="net2deeper")
        self._stages = Stages("the deepened network")

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        return self._stages.turn(number, pending, self._grow)

    def tell(self, trial: Trial) -> None:
        self._stages.told.append(trial)

    def _grow(self) -> Proposal:
        """The next stage, or the last trial."""
        stages = self._stages
        epochs = stage_length(self.stage_epochs, self.trial_epochs)
        if not stages.trials:
            return seedling(self._chain, self._depths[0], epochs=epochs)
        scores = stages.scores
        has_gained = len(scores) < 2 or scores[-1] >= scores[-2] + self.min_gain
        deeper = _next_depth(stages.trials[-1], self._depths)
        if stages.has_failed or not has_gained or deeper is None:
            return finishing(stages.best())
        teacher = stages.last()
        assert teacher.architecture is not None
        blocks = interleaved(teacher.architecture.depth, deeper)
        return grown(self._chain, teacher, blocks, new_blocks=self.new_blocks, epochs=epochs)


def _next_depth(teacher: Trial, depths: Sequence[int]) -> int | None:
    """The largest depth of at most twice the teacher's, or the next one; None: it is the deepest."""
    assert teacher.architecture is not None
    depth = teacher.architecture.depth
    deeper = [one for one in depths if one > depth]
    return max((one for one in deeper if one <= 2 * depth), default=min(deeper, default=None))


def interleaved(depth: int, deeper: int) -> tuple[int, ...]:
    """The blocks 1..depth with new ones spread evenly behind them: 4 to 6 is `1, 2, 0, 3, 4, 0`."""
    blocks: list[int] = []
    for level in range(1, depth + 1):
        before, after = ((one * (deeper - depth)) // depth for one in (level - 1, level))
        blocks += [level, *[NEW] * (after - before)]
    return tuple(blocks)
