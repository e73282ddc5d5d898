"""The supernet of DARTS: stem, stages of mixed blocks or cells whose levels are mixed in turn, head."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.cell import Cell
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer
from search_spaces.readings import LEVEL_LOSS, REMOVAL_ACCURACY, REMOVAL_LOSS, Readings
from search_spaces.relaxations.chains import max_depths, with_depths
from search_spaces.relaxations.expected_flops import ExpectedFlops
from search_spaces.relaxations.level_probe import mean_squares
from search_spaces.relaxations.mixed_blocks import MixedBlocks
from search_spaces.relaxations.mixed_cells import MixedCells
from search_spaces.relaxations.mixed_depth import MixedStage, Score, best_depths, total_depth
from search_spaces.relaxations.mixing import Mixing
from search_spaces.relaxations.relaxation import Probe

MAX_DERIVED = 100
"""Several stages have more combinations of depths than any budget trains; the best of them are derived."""

Select = Literal["weights", "removal", "level_loss"]


class DartsNetwork(nn.Module):
    """Stem, stages of mixed blocks, head."""

    def __init__(
        self,
        space: ChainSpace,
        mixing: Mixing,
        *,
        select: Select = "weights",
        flops_target: float | None = None,
        flops_strength: float = 2.0,
    ) -> None:
        super().__init__()
        self.space = space
        self.mixing = mixing
        self.select = select
        self.mixture = MixedCells(space, mixing) if isinstance(space, Cell) else MixedBlocks(space, mixing)
        stem = space.make_stem(space.all_stages()[0].width[0])
        blocks = self.mixture.make_blocks()
        remaining = iter(blocks)
        self.stages = nn.ModuleList(
            MixedStage([next(remaining) for _ in range(num_levels)], stage.depth, mixing)
            for stage, num_levels in zip(space.all_stages(), max_depths(space), strict=True)
        )
        self.chain = Chain(stem, blocks, space.make_head(space.all_stages()[-1].width[0]))
        self.flops: ExpectedFlops | None = None
        if flops_target is not None:
            with torch.device("meta"):  # neither memory nor random numbers
                chains = self.mixture.uniform_chains()
            self.flops = ExpectedFlops(chains, space.input_shape, target=flops_target, strength=flops_strength)

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK`."""
        last = self.mixed_stages()[-1]
        y_BK: Tensor = self.chain.head(last.mix(self._last_levels(x_B), last.depth_weights()))
        return y_BK

    def probe(self, x_B: Tensor) -> Probe:
        """`forward`, and with one stage what each level is worth.

        All weight on a level is the head on its hidden state, as in the chain of that depth. Without a level is without
        its direct path to the head; where that has no weight, nothing is removed. With several stages there are no
        such readings: a total depth is reached in several ways, and none of them is a level of this network.
        """
        *earlier, last = self.mixed_stages()
        levels, head = self._last_levels(x_B), self.chain.head
        y_BK = head(last.mix(levels, last.depth_weights()))
        if earlier:
            return Probe(logits=y_BK)
        return Probe(
            logits=y_BK,
            levels=[head(level) for level in levels],
            removals=[
                head(last.mix(levels, last.weights_without(depth))) if depth in last.depths else y_BK
                for depth in range(len(levels))
            ],
            sizes=mean_squares(levels),
        )

    def architecture_parameters(self) -> list[nn.Parameter]:
        """Alpha of the blocks and beta of every stage, where there is a choice."""
        all_logits = [self.mixture.alpha, *(stage.beta_D for stage in self.mixed_stages())]
        return [parameter for parameter in all_logits if isinstance(parameter, nn.Parameter)]

    def constrain(self) -> None:
        """Nothing to do: the weights are defined everywhere."""

    def anneal(self, progress: float) -> None:
        """Cool down, and fade the remedies out."""
        self.mixing.anneal(progress)

    def penalty(self) -> Tensor:
        """What the expected FLOPs cost, a scalar."""
        if self.flops is None:
            return torch.zeros((), device=self.mixture.alpha.device)
        stages = self.mixed_stages()
        penalty: Tensor = self.flops(
            [stage.depths for stage in stages],
            [stage.depth_probabilities() for stage in stages],
            self.mixture.level_probabilities(),
        )
        return penalty

    def profile(self) -> tuple[float, ...]:
        """Probability of every total depth."""
        return total_depth(self.mixed_stages())

    def num_skips(self) -> int:
        """Blocks that the most probable depths leave out, and identities that the others would be."""
        depths = tuple(stage.most_probable_depth() for stage in self.mixed_stages())
        left_out = sum(max_depths(self.space)) - sum(depths)
        return left_out + self.mixture.num_identities(list(self.chain.blocks), depths)

    def ranking(self) -> list[list[int]]:
        """The candidates of every mixture, weakest first."""
        tables = [parameter.reshape(-1, parameter.shape[-1]) for parameter in self.architecture_parameters()]
        return [order for table in tables for order in table.argsort(dim=1, stable=True).tolist()]

    def num_scores(self) -> int:
        """Networks that `conclude` scores."""
        if self.select != "removal":
            return 0
        return self.mixture.num_removals() + sum(len(stage.depths) for stage in self._stages_to_score())

    def conclude(self, score: Callable[[], Score]) -> None:
        """Choose by removal: the operations one after the other, then score every exit of several stages."""
        if self.select != "removal":
            return
        self.mixture.keep_by_removal(score)
        for stage in self._stages_to_score():
            stage.score_removals(score)

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The strongest operations that are left, for the best depths first."""
        ranked = best_depths([self._depth_scores(stage, readings) for stage in self.mixed_stages()], MAX_DERIVED)
        return tuple(
            answer(self.space, with_depths(self.space, depths) | self.mixture.decisions(depths)) for depths in ranked
        )

    def mixed_stages(self) -> list[MixedStage]:
        """The stages in order."""
        return [stage for stage in self.stages if isinstance(stage, MixedStage)]

    def _depth_scores(self, stage: MixedStage, readings: Readings) -> Mapping[int, Score]:
        match self.select:
            case "weights":
                probabilities = stage.depth_probabilities().tolist()
                logarithms = [(math.log(p) if p else -math.inf,) for p in probabilities]
                return dict(zip(stage.depths, logarithms, strict=True))
            case "level_loss":
                return {depth: (-readings[LEVEL_LOSS][depth],) for depth in stage.depths}
            case "removal" if len(self.stages) == 1:
                accuracies, losses = readings[REMOVAL_ACCURACY], readings[REMOVAL_LOSS]
                return {depth: (-accuracies[depth], losses[depth]) for depth in stage.depths}
            case "removal":
                return stage.removals

    def _stages_to_score(self) -> list[MixedStage]:
        """The stages whose removals no reading tells."""
        return self.mixed_stages() if len(self.stages) > 1 else []

    def _last_levels(self, x_B: Tensor) -> list[Tensor]:
        """The levels of the last stage."""
        h_B, weights = self.chain.stem(x_B), iter(self.mixture.weights())
        *earlier, last = self.mixed_stages()
        for stage in earlier:
            levels = stage.levels(h_B, [next(weights) for _ in stage.blocks])
            h_B = stage.mix(levels, stage.depth_weights())
        return last.levels(h_B, list(weights))
