"""Exits whose features are made similar to those of the last exit, by self-supervision.

Idea, without a recipe: "explicitly force the representations in between initial layers & auxiliary classifiers to be
similar in early exits and final exit (not the backbone network)", for data with few labels. Published is the measure of
similarity, BYOL's (Grill et al., NeurIPS 2020, arXiv 2006.07733, equation 2), and that no gradient reaches its target:

    `2 - 2 <z, t> / (|z| |t|)`

Our reading: between the chain and the classifier of an early exit there is a branch, `z = h + F(h)` with two linear
layers over the width in F, which begins as an identity. `z` is what the classifier reads, and what is compared with the
target `t`, what the last exit's classifier reads; both averaged over positions. "Not the backbone": the gradient of the
similarity ends at `h`, unless `moves_trunk`. As the target learns from labels, it cannot collapse, so there is no
second network that follows slowly. Similarity needs no labels, and joins `multi_exit` on inputs that have none.
Shapes: B batch, E exits, C channels, D width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.gates import pooled
from search_spaces.flops import level_shapes
from search_spaces.mlp import Residual
from search_spaces.relaxations.multi_exit import MultiExit, MultiExitNetwork, exits_of
from search_spaces.relaxations.relaxation import Criterion
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class SimilarExits(MultiExit):
    """`multi_exit`, and features of early exits that resemble those of the last."""

    similarity: float = Field(default=1.0, ge=0)
    """Weight of the mean dissimilarity of early exits, beside the mean loss of all exits."""
    moves_trunk: bool = False
    """Whether the chain learns to be similar, too, or the exits' branches alone."""

    inheritable = False

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return SimilarExitsNetwork(*exits_of(space, self.exits, method="similar_exits"), self)


class Head(nn.Module):
    """A classifier behind a branch."""

    def __init__(self, branch: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.classifier = classifier

    def forward(self, h_B: Tensor) -> Tensor:
        """A hidden state to logits `y_BK`."""
        y_BK: Tensor = self.classifier(self.branch(h_B))
        return y_BK


class SimilarExitsNetwork(MultiExitNetwork):
    """Early exits have branches."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: SimilarExits) -> None:
        super().__init__(space, depths, options)
        self.similarity = options.similarity
        if options.similarity:
            self.unlabelled = options.unlabelled  # with and without distillation
        self.moves_trunk = options.moves_trunk
        shape = level_shapes(self.chain, space.input_shape)[-1]
        for depth in depths[:-1]:
            self.heads[str(depth)] = Head(make_branch(shape), self.heads[str(depth)])

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The mean of the losses of all exits, and the dissimilarity of the early ones."""
        states = self.chain.hidden_states(x_B)
        exits = [self._read(depth, states[depth]) for depth in self.depths]
        features = [
            self.heads[str(depth)].get_submodule("branch")(
                states[depth] if self.moves_trunk else states[depth].detach()
            )
            for depth in self.depths[:-1]
        ]
        return self.loss_of_exits(exits, y_B, criterion) + self.similarity * dissimilarity(features, states[-1])


def dissimilarity(features: Sequence[Tensor], target_B: Tensor) -> Tensor:
    """`2 - 2 cos` to the target, the mean over inputs and exits, of `[B, ...]` each. The target gets no gradient."""
    target_BD = pooled(target_B).detach()
    cosine_EB = torch.stack([F.cosine_similarity(pooled(z_B), target_BD) for z_B in features])
    return (2 - 2 * cosine_EB).mean()


def make_branch(shape: tuple[int, ...]) -> nn.Module:
    """`h + F(h)` of hidden states of this shape, without the batch; F begins as zero."""
    layers: list[nn.Linear] | list[nn.Conv2d]
    if len(shape) == 3:
        layers = [nn.Conv2d(shape[0], shape[0], 1) for _ in range(2)]
    else:
        layers = [nn.Linear(shape[-1], shape[-1]) for _ in range(2)]
    nn.init.zeros_(layers[1].weight)
    assert layers[1].bias is not None
    nn.init.zeros_(layers[1].bias)
    return Residual(nn.Sequential(layers[0], nn.ReLU(), layers[1]))
