"""SCAN: exits that look where it matters, taught by the deepest, and an ensemble of them all at the end.

Zhang et al., NeurIPS 2019, arXiv 1906.03951. In front of each classifier but the deepest, attention weighs the hidden
state: `F = sigmoid(deconv(conv(h))) * h`, a 3x3 convolution of stride 2 and a 4x4 deconvolution that undoes the stride,
both with batch normalisation, so that the trunk need not be what the classifier needs. Exit i of C learns as in
`byot`, with alpha 0.5, T 3, and lambda 5e-7 for squares added up over batches of 128, as in the authors' code. An input
of which not even the deepest exit is sure enough gets the answer of the ensemble, the mean of all logits. It costs
nothing that is not paid by then, and it is what the network answers without a rule.

The authors' code reports, while it trains, an ensemble of all classifiers but the shallowest, divided by the number of
all; its tests are those of the right one. Its thresholds are constants: `controllers.thresholds` searches for them.

Differences: those of `byot`, which are why there is no bottleneck behind the attention; and where hidden states are no
images, there are no positions to stride over, and linear layers to half the width and back take the place of the
convolutions.
Shapes: B batch, C channels, H and W height and width, D width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.chain_space import ChainSpace
from search_spaces.flops import level_shapes
from search_spaces.image import conv_bn
from search_spaces.relaxations.byot import HintedNetwork
from search_spaces.relaxations.multi_exit import exits_of
from search_spaces.relaxations.relaxation import Probe
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class Scan:
    """Trains classifiers with attention at several depths of a chain with one stage and nothing else to choose.

    With `deliver: supernet`, the run delivers the ensemble of all exits.
    """

    exits: tuple[int, ...] = ()
    """Depths with a classifier, ascending, among those of the space; empty: all of them."""
    alpha: float = Field(default=0.5, ge=0, le=1)
    """Share of the deepest exit's answers, rather than the labels, in what the others learn."""
    temperature: float = Field(default=3.0, gt=0)
    """Of those answers."""
    hint_weight: float = Field(default=6.4e-5, ge=0)
    """lambda, of the squared distance between an exit's features and the deepest's, the mean over inputs."""

    recipe = "standard"

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        exits_of(space, self.exits, method="scan")

    def supernet(self, space: SearchSpace) -> nn.Module:
        return ScanNetwork(
            *exits_of(space, self.exits, method="scan"),
            alpha=self.alpha,
            temperature=self.temperature,
            hint_weight=self.hint_weight,
        )


class Attention(nn.Module):
    """`sigmoid(mask(h)) * h`. Of a mask that is larger, at odd sides of an image, the rim is left out."""

    def __init__(self, mask: nn.Module) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, h_B: Tensor) -> Tensor:
        """Any hidden state to one of its shape."""
        mask_B: Tensor = self.mask(h_B)
        return mask_B[..., : h_B.shape[-2], : h_B.shape[-1]].sigmoid() * h_B


class Head(nn.Module):
    """A classifier with something in front."""

    def __init__(self, attention: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.classifier = classifier

    def forward(self, h_B: Tensor) -> Tensor:
        """A hidden state to logits `y_BK`."""
        y_BK: Tensor = self.classifier(self.attention(h_B))
        return y_BK


class ScanNetwork(HintedNetwork):
    """Exits with attention, and the ensemble."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], **learning: float) -> None:
        super().__init__(space, depths, **learning)
        shape = level_shapes(self.chain, space.input_shape)[-1]
        for depth in depths:
            attention = nn.Identity() if depth == depths[-1] else Attention(make_mask(shape))
            self.heads[str(depth)] = Head(attention, self.heads[str(depth)])

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the ensemble."""
        return self.exit_logits(x_B)[-1]

    def exit_logits(self, x_B: Tensor) -> list[Tensor]:
        """Logits `y_BK` of every exit, the ensemble last."""
        classifiers = super().exit_logits(x_B)
        return [*classifiers, self.ensemble(classifiers)]

    def ensemble(self, classifiers: Sequence[Tensor]) -> Tensor:
        """The mean of the logits `y_BK` of all classifiers."""
        return torch.stack(list(classifiers)).mean(dim=0)

    def probe(self, x_B: Tensor) -> Probe:
        """The ensemble, and every classifier."""
        levels = super().probe(x_B).levels
        return Probe(logits=self.ensemble([levels[depth] for depth in self.depths]), levels=levels)

    def features(self, depth: int, h_B: Tensor) -> Tensor:
        """What the attention leaves."""
        attended_B: Tensor = self._head(depth).attention(h_B)
        return attended_B

    def classify(self, depth: int, h_B: Tensor) -> Tensor:
        """Logits `y_BK` of an exit with these features."""
        y_BK: Tensor = self._head(depth).classifier(h_B)
        return y_BK

    def _head(self, depth: int) -> Head:
        head = self.heads[str(depth)]
        assert isinstance(head, Head)
        return head


def make_mask(shape: tuple[int, ...]) -> nn.Module:
    """From a hidden state of this shape, without the batch, to what its attention is the sigmoid of."""
    if len(shape) == 3:
        channels = shape[0]
        deconvolution = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False)
        return nn.Sequential(
            *(conv_bn(channels, channels, 3, stride=2), nn.ReLU()),
            *(deconvolution, nn.BatchNorm2d(channels)),
        )
    width = shape[-1]
    inner = max(1, width // 2)
    return nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
