"""Be your own teacher: the deepest exit teaches all others, by its answers and by its features.

Zhang et al., ICCV 2019, arXiv 1905.08094. Exit i of C learns from

    `(1 - alpha) CE(q_i, y) + alpha KL(q_C || q_i) + lambda |F_i - F_C|^2`

where `q` are answers at temperature T and `F` features, both without a gradient to exit C, which learns from the labels
alone (alpha and lambda are 0 there). So it is `multi_exit` with the last exit as the only teacher at a fixed
temperature, and a hint: a feature is what the classifier reads, averaged over positions.

The paper gives no values. The defaults are those of a public reproduction (luanyunteng/pytorch-be-your-own-teacher):
alpha 0.1, T 3, `T^2 KL` so that T does not change the size of the gradient, and lambda 1e-6 for squares added up over
batches of 128.

Differences: losses are averaged over exits and squares over inputs, so that neither changes the learning rate; and
exits have no bottleneck layers, which bring features to the shape of the deepest: those of one stage have it already.
Shapes: B batch, K classes, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.gates import pooled
from search_spaces.relaxations.multi_exit import MultiExit, MultiExitNetwork, exits_of
from search_spaces.relaxations.relaxation import Criterion
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class Byot:
    """Trains classifiers at several depths of a chain with one stage and nothing else to choose.

    With `deliver: supernet`, the run delivers the network with all its exits.
    """

    exits: tuple[int, ...] = ()
    """Depths with a classifier, ascending, among those of the space; empty: all of them."""
    alpha: float = Field(default=0.1, ge=0, le=1)
    """Share of the deepest exit's answers, rather than the labels, in what the others learn."""
    temperature: float = Field(default=3.0, gt=0)
    """Of those answers."""
    hint_weight: float = Field(default=1.28e-4, ge=0)
    """lambda, of the squared distance between an exit's features and the deepest's, the mean over inputs."""

    recipe = "standard"
    inheritable = True

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        exits_of(space, self.exits, method="byot")

    def supernet(self, space: SearchSpace) -> nn.Module:
        return HintedNetwork(
            *exits_of(space, self.exits, method="byot"),
            alpha=self.alpha,
            temperature=self.temperature,
            hint_weight=self.hint_weight,
        )


class HintedNetwork(MultiExitNetwork):
    """Exits that have features, taught by the last one."""

    def __init__(
        self, space: ChainSpace, depths: tuple[int, ...], *, alpha: float, temperature: float, hint_weight: float
    ) -> None:
        learning = MultiExit(distillation=alpha, temperature=temperature, temperature_growth=1.0, unlabelled=0.0)
        super().__init__(space, depths, learning)
        self.hint_weight = hint_weight

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The mean of the losses of all exits, hints included."""
        states = self.chain.hidden_states(x_B)
        features = [self.features(depth, states[depth]) for depth in self.depths]
        exits = [self.classify(depth, h_B) for depth, h_B in zip(self.depths, features, strict=True)]
        return self.loss_of_exits(exits, y_B, criterion) + self.hint_weight * hint_loss(features)

    def features(self, depth: int, h_B: Tensor) -> Tensor:
        """What the classifier of an exit reads, of a hidden state: here, the hidden state."""
        return h_B

    def classify(self, depth: int, h_B: Tensor) -> Tensor:
        """Logits `y_BK` of an exit with these features."""
        return self._read(depth, h_B)


def hint_loss(features: Sequence[Tensor]) -> Tensor:
    """`|F_i - F_C|^2`, the mean over inputs and exits, of what each exit's classifier reads, `[B, ...]`.

    The last exit gets no gradient, and its own distance of zero counts in the mean.
    """
    pooled_EBD = torch.stack([pooled(h_B) for h_B in features])
    return (pooled_EBD - pooled_EBD[-1].detach()).square()[:-1].sum(dim=-1).mean(dim=-1).sum() / len(features)
