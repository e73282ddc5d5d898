"""Multilayer perceptrons: fully connected blocks over a vector of features.

Shapes: B batch, D width of the hidden state, H inner width of a block, K classes.
"""

from __future__ import annotations

import math

from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.chain import silence
from search_spaces.chain_space import Block, ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG


class Residual(nn.Module):
    """`h + F(h)`."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, h_BD: Tensor) -> Tensor:
        """`[B, D]` to `[B, D]`."""
        out_BD: Tensor = h_BD + self.body(h_BD)
        return out_BD


@validated(frozen=True, kw_only=True, config=CONFIG)
class Mlp(ChainSpace):
    """Blocks `dense` (linear, ReLU) and `residual` (pre-norm, two linear layers, added to the input).

    `block_width` is the inner width H; without it a dense block is one square layer and a residual block has H = D.
    """

    family = "mlp"
    operations = ("dense", "residual")
    default_width = 32
    tieable = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stages:
            raise InvalidInput("an mlp has no stages: give depth and width", field="stages")

    def make_stem(self, width: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(self.input_shape), width), nn.ReLU())

    def make_block(self, block: Block) -> nn.Module:
        width, inner = block.width_out, block.width
        if block.op == "residual":
            inner = inner or width
            return Residual(
                nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
            )
        if inner is None:
            return nn.Sequential(nn.Linear(width, width), nn.ReLU())
        return nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width), nn.ReLU())

    def make_head(self, width: int) -> nn.Module:
        return nn.Linear(width, self.num_classes)

    def make_identity(self, block: nn.Module, previous: nn.Module) -> None:
        """A residual block adds nothing; a dense one multiplies what a ReLU has left of its input, by one."""
        if isinstance(block, Residual):
            silence(block.body)
            return
        linears = [layer for layer in block.modules() if isinstance(layer, nn.Linear)]
        narrowest = min(layer.out_features for layer in linears)
        if narrowest < linears[0].in_features:
            raise InvalidInput(
                f"must be at least the width {linears[0].in_features} for a block to start as an identity, "
                f"got {narrowest}",
                field="block_width",
            )
        for layer in linears:
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
