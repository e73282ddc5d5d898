"""Cells as mixtures: every edge of the NAS-Bench-201 cell carries all its operations at once (DARTS, equation 2).

One alpha is shared by all cells, as in DARTS and in the benchmark's runs of it (Dong & Yang, ICLR 2020), whose rule
this follows: an edge keeps its strongest operation, `none` included, since `none` is a choice of the space.
Shapes: B batch, C channels, H and W height and width, E edges of the cell, O operations of an edge.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from search_spaces.architecture import Option
from search_spaces.cell import Cell, CellNetwork, Reduction
from search_spaces.chain_space import Block
from search_spaces.genotype import EDGES, NUM_NODES, to_text
from search_spaces.relaxations.chains import deepest, weighted_sum
from search_spaces.relaxations.mixed_blocks import remove_affine
from search_spaces.relaxations.mixed_depth import logits


class MixedCells(nn.Module):
    """The architecture parameters of the one cell that is stacked."""

    def __init__(self, space: Cell) -> None:
        super().__init__()
        self.space = space
        self.alpha = logits(len(EDGES), len(space.all_ops()))

    def make_blocks(self) -> list[nn.Module]:
        """One cell per level, with fresh weights."""
        return [MixedCell(block, self.space.all_ops()) for block in self.space.blocks(deepest(self.space))]

    def weights(self) -> Sequence[Tensor]:
        """Weights `[E, O]` of every cell: the same for all."""
        return [self.alpha.softmax(dim=1)] * len(self.space.blocks(deepest(self.space)))

    def decisions(self, depths: tuple[int, ...]) -> dict[str, Option]:
        """The strongest operation of every edge; without a cell or a choice, there is nothing to decide."""
        ops = self.space.all_ops()
        if not any(depths) or len(ops) == 1:
            return {}
        strongest = self.alpha.argmax(dim=1).tolist()
        return {f"edge{source}>{target}": ops[o] for (source, target), o in zip(EDGES, strongest, strict=True)}


class MixedCell(nn.Module):
    """One cell per operation, all of whose edges carry that operation; node by node, their edges are mixed."""

    def __init__(self, block: Block, ops: Sequence[str]) -> None:
        super().__init__()
        same_shape = block.stride == 1 and block.width_in == block.width_out
        self.reduction = nn.Identity() if same_shape else Reduction(block)
        self.uniform = nn.ModuleList(CellNetwork(to_text([op] * len(EDGES)), block.width_out) for op in ops)
        if len(ops) > 1:
            remove_affine(self.uniform)

    def forward(self, h_BCHW: Tensor, weights_EO: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C', H', W']`."""
        nodes: list[Tensor] = [self.reduction(h_BCHW)]
        for target in range(1, NUM_NODES):
            edges = [
                self._edge(source, target, nodes[source], weights_EO[EDGES.index((source, target))])
                for source in range(target)
            ]
            nodes.append(sum(edges[1:], start=edges[0]))
        return nodes[-1]

    def _edge(self, source: int, target: int, h_BCHW: Tensor, weights_O: Tensor) -> Tensor:
        name = f"{source}>{target}"
        terms = (cell.edges[name](h_BCHW) if name in cell.edges else h_BCHW.mul(0.0) for cell in self._cells())
        return weighted_sum(weights_O, terms)

    def _cells(self) -> list[CellNetwork]:
        return [cell for cell in self.uniform if isinstance(cell, CellNetwork)]
