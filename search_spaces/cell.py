"""The NAS-Bench-201 cell, stacked (Dong & Yang, ICLR 2020): depth and structure in one space.

A level is one cell, and all cells have the same genotype. With `stages`, the benchmark's residual reduction block
stands before the first cell of a stage that changes the shape, in the same level. Differences from the benchmark:
the number of cells is a decision, and average pooling in the reduction keeps the odd last row of an image.
Shapes: B batch, C channels, H and W height and width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture, Option
from search_spaces.chain_space import Block, ChainSpace
from search_spaces.genotype import EDGES, NUM_NODES, canonical, from_text, shortest_path, to_text
from search_spaces.image import check_strides, conv_bn, image_shape, pooled_linear
from search_spaces.space import Choose
from search_spaces.values import CONFIG


class CellNetwork(nn.Module):
    """One cell. An edge that is `none` is absent; a cell without a way to its output gives zeros."""

    def __init__(self, genotype: str, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                f"{source}>{target}": _operation(op, channels)
                for (source, target), op in zip(EDGES, from_text(genotype), strict=True)
                if op != "none"
            }
        )

    def forward(self, h_BCHW: Tensor) -> Tensor:
        """`[B, C, H, W]` to the same shape."""
        zero_BCHW = h_BCHW.mul(0.0)  # not new zeros: the stem keeps a gradient, of zero
        nodes = [h_BCHW]
        for target in range(1, NUM_NODES):
            incoming = [
                self.edges[f"{source}>{target}"](h)
                for source, h in enumerate(nodes)
                if f"{source}>{target}" in self.edges
            ]
            nodes.append(sum(incoming) if incoming else zero_BCHW)
        return nodes[-1]


class Reduction(nn.Module):
    """The benchmark's residual block between stages: average pooling and a 1x1 convolution beside two 3x3 ones."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            conv_bn(block.width_in, block.width_out, 3, stride=block.stride),
            nn.ReLU(),
            conv_bn(block.width_out, block.width_out, 3),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(block.stride, ceil_mode=True), nn.Conv2d(block.width_in, block.width_out, 1, bias=False)
        )

    def forward(self, h_BCHW: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C', H', W']`."""
        out_BCHW: Tensor = self.shortcut(h_BCHW) + self.body(h_BCHW)
        return out_BCHW


@validated(frozen=True, kw_only=True, config=CONFIG)
class Cell(ChainSpace):
    """Stacked cells over images `[C, H, W]`; the decisions are `depth` and `edge0>1` to `edge2>3`.

    `ops` are the operations that every edge chooses from; default: all five. The first is a convolution, so that a
    grid over the depth alone builds networks that learn.
    """

    family = "cell"
    operations = ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", "none")
    operations_without_width = operations
    default_width = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strides(self.input_shape, self.all_stages())

    def all_ops(self) -> tuple[str, ...]:
        return self.ops or self.operations

    def compose(self, choose: Choose) -> Architecture:
        return super().compose(_once(choose))

    def canonical_decisions(self, architecture: Architecture) -> Mapping[str, Option]:
        """The decisions, with those of the first genotype that is this cell: the same for equal networks."""
        genotypes = _genotypes(architecture)
        others = {name: answer for name, answer in architecture.decisions.items() if not name.startswith("edge")}
        if not genotypes:
            return others
        edges = zip(EDGES, from_text(genotypes[0]), strict=True)
        return {**others, **{f"edge{source}>{target}": op for (source, target), op in edges}}

    def shortest_path(self, architecture: Architecture) -> int:
        """Operations other than the identity along the shortest way through all cells; reductions do not count."""
        return sum(shortest_path(from_text(genotype)) for genotype in _genotypes(architecture))

    def compose_block(self, choose: Choose, prefix: str) -> dict[str, Any]:
        genotype = [str(choose(f"edge{source}>{target}", self.all_ops())) for source, target in EDGES]
        return {"op": to_text(canonical(genotype)), "width": None}

    def make_stem(self, width: int) -> nn.Module:
        channels, _, _ = image_shape(self.input_shape)
        return conv_bn(channels, width, 3)

    def make_block(self, block: Block) -> nn.Module:
        cell = CellNetwork(block.op, block.width_out)
        if block.stride == 1 and block.width_in == block.width_out:
            return cell
        return nn.Sequential(Reduction(block), cell)

    def make_head(self, width: int) -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), *pooled_linear(width, self.num_classes))


def _operation(op: str, channels: int) -> nn.Module:
    match op:
        case "skip_connect":
            return nn.Identity()
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case _:
            return nn.Sequential(nn.ReLU(), conv_bn(channels, channels, 3 if op == "nor_conv_3x3" else 1))


def _genotypes(architecture: Architecture) -> list[str]:
    """That of every cell, which is the same."""
    return [block["op"] for stage in architecture.form["stages"] for block in stage["blocks"]]


def _once(choose: Choose) -> Choose:
    """Every cell asks for the same six edges; only the first time is it a question."""
    answers: dict[str, Option] = {}

    def remembered(name: str, options: Sequence[Option], /) -> Option:
        if name not in answers:
            answers[name] = choose(name, options)
        return answers[name]

    return remembered
