"""Cells as mixtures: every edge of the NAS-Bench-201 cell carries all its operations at once (DARTS, equation 2).

One alpha is shared by all cells, as in DARTS and in the benchmark's runs of it (Dong & Yang, ICLR 2020), whose rule
this follows: an edge keeps its strongest operation, `none` included, since `none` is a choice of the space. The path
without weights is `skip_connect`, and the auxiliary one lies beside every edge.
Shapes: B batch, C channels, H and W height and width, E edges of the cell, L levels, O operations of an edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from search_spaces.architecture import Option
from search_spaces.cell import Cell, CellNetwork, Reduction
from search_spaces.chain import Chain
from search_spaces.chain_space import Block
from search_spaces.genotype import EDGES, NUM_NODES, to_text
from search_spaces.relaxations.chains import deepest, weighted_sum
from search_spaces.relaxations.mixed_blocks import remove_affine
from search_spaces.relaxations.mixed_choice import MixedChoice
from search_spaces.relaxations.mixing import Mixing


class MixedCells(MixedChoice):
    """The architecture parameters of the one cell that is stacked."""

    def __init__(self, space: Cell, mixing: Mixing) -> None:
        self.space = space
        self.blocks = space.blocks(deepest(space))
        super().__init__(len(EDGES), len(space.all_ops()), mixing)

    def make_blocks(self) -> list[nn.Module]:
        """One cell per level, with fresh weights."""
        if not self.is_open:
            return [self.space.make_block(block) for block in self.blocks]
        return [MixedCell(block, self.space.all_ops(), self.mixing) for block in self.blocks]

    def weights(self) -> Sequence[Tensor | None]:
        """Weights `[E, O]` of every cell, the same for all; none without a choice."""
        return [self.row_weights() if self.is_open else None] * len(self.blocks)

    def decisions(self, depths: tuple[int, ...]) -> dict[str, Option]:
        """The strongest operation of every edge; without a cell or a choice, there is nothing to decide."""
        ops = self.space.all_ops()
        if not any(depths) or not self.is_open:
            return {}
        return {f"edge{source}>{target}": ops[o] for (source, target), o in zip(EDGES, self.strongest(), strict=True)}

    def num_identities(self, blocks: Sequence[nn.Module], depths: tuple[int, ...]) -> int:
        """Edges of the cell whose strongest operation is `skip_connect`."""
        ops = self.space.all_ops()
        return sum(ops[o] == "skip_connect" for o in self.strongest()) if self.is_open and any(depths) else 0

    def level_probabilities(self) -> Tensor:
        """Probability `[L, O]` of every operation, the mean over the edges, which all cost the same."""
        return self.mixing.probabilities(self.alpha).mean(dim=0).expand(len(self.blocks), -1)

    def uniform_chains(self) -> list[Chain]:
        """The deepest chain of every operation, whose cells have it on all edges."""
        space, stages = self.space, self.space.all_stages()
        return [
            Chain(
                space.make_stem(stages[0].width[0]),
                [space.make_block(uniform(block, op)) for block in self.blocks],
                space.make_head(stages[-1].width[0]),
            )
            for op in space.all_ops()
        ]


class MixedCell(nn.Module):
    """One cell per operation, all of whose edges carry that operation; node by node, their edges are mixed."""

    def __init__(self, block: Block, ops: Sequence[str], mixing: Mixing) -> None:
        super().__init__()
        same_shape = block.stride == 1 and block.width_in == block.width_out
        self.mixing = mixing
        self.reduction = nn.Identity() if same_shape else Reduction(block)
        self.uniform = nn.ModuleList(CellNetwork(uniform(block, op).op, block.width_out) for op in ops)
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
        terms = (self._term(cell.edges, name, h_BCHW) for cell in self._cells())
        return self.mixing.add_auxiliary(weighted_sum(weights_O, terms), h_BCHW)

    def _term(self, edges: nn.ModuleDict, name: str, h_BCHW: Tensor) -> Tensor:
        if name not in edges:
            return h_BCHW.mul(0.0)
        out_BCHW: Tensor = edges[name](h_BCHW)
        is_skip = isinstance(edges[name], nn.Identity)
        return self.mixing.drop_skip(out_BCHW, training=self.training) if is_skip else out_BCHW

    def _cells(self) -> list[CellNetwork]:
        return [cell for cell in self.uniform if isinstance(cell, CellNetwork)]


def uniform(block: Block, op: str) -> Block:
    """The cell with the same operation on all edges."""
    return replace(block, op=to_text([op] * len(EDGES)))
