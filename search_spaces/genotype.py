"""Genotypes of the NAS-Bench-201 cell (Dong & Yang, ICLR 2020), and which of them are one network.

A genotype names one operation for each of the six edges between four ordered nodes: node 0 is the cell's input,
node 3 its output, and every other node the sum of what its edges bring.

Two genotypes are equal exactly when they are one computation: when their outputs are the same expression of the input,
whichever names its convolutions go by. In that expression

- `none`, and every edge that the input does not reach or that does not reach the output, is left out;
- `skip_connect` is the identity, and a sum is flat and without order, but keeps equal terms: x+x is not x;
- a convolution is one module with weights of its own. One that is read twice is not equal to two of them, which have
  more parameters, cost more and compute another function;
- an average pool has no weights: two pools of one value are one value. Pooling is linear, yet a pool of a sum is not
  rewritten as a sum of pools: they are two computations, at worst measured twice.

So the 15625 genotypes are 5260 networks. The benchmark's authors count 6466, by the string of their code
(`Structure.to_unique_str(True)`), which differs both ways: it leaves zeros and nested sums standing where a node adds
several terms, and so separates equal cells; and it compares convolutions by kind, and so joins one that is read twice
with two of them. By kind but otherwise by the rule above, there would be 4930.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Source and target of every edge, in the benchmark's order."""
NUM_NODES = 4
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""In the benchmark's order."""
CONVOLUTIONS = ("nor_conv_1x1", "nor_conv_3x3")
"""The operations that have weights."""

Genotype = tuple[str, ...]
"""One operation per edge."""


def to_text(genotype: Sequence[str]) -> str:
    """The benchmark's notation, such as `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|`."""
    nodes = []
    for node in range(1, NUM_NODES):
        incoming = [f"{op}~{source}" for (source, target), op in zip(EDGES, genotype, strict=True) if target == node]
        nodes.append(f"|{'|'.join(incoming)}|")
    return "+".join(nodes)


def from_text(text: str) -> Genotype:
    """Inverse of `to_text`."""
    return tuple(part.partition("~")[0] for node in text.split("+") for part in node.strip("|").split("|"))


def expression(genotype: Sequence[str]) -> str:
    """The output as a function of the input `x`; equal for equal networks, and empty for a constant zero.

    Only node 1 can be read twice, along 1>3 and 1>2>3. So at most one convolution occurs twice, that of edge 0>1, and
    it alone needs a name, `shared`: each of the others occurs once and is a module of its own.
    """
    op_of = dict(zip(EDGES, genotype, strict=True))
    node_1_is_read_twice = "none" not in (op_of[1, 3], op_of[1, 2], op_of[2, 3])
    if node_1_is_read_twice and op_of[0, 1] in CONVOLUTIONS:
        op_of[0, 1] = f"shared_{op_of[0, 1]}"
    sums: list[list[str]] = [["x"]]
    for node in range(1, NUM_NODES):
        terms: list[str] = []
        for (source, target), op in op_of.items():
            if target != node or op == "none" or not sums[source]:
                continue
            terms += sums[source] if op == "skip_connect" else [f"{op}({'+'.join(sums[source])})"]
        sums.append(sorted(terms))
    return "+".join(sums[-1])


def canonical(genotype: Sequence[str]) -> Genotype:
    """The first genotype, in the order of `OPERATIONS`, that is equal to this one.

    `none` comes first, so that an edge that the output does not depend on is `none`.
    """
    return _first_of_each()[expression(genotype)]


@cache
def shortest_path(genotype: Genotype) -> int:
    """Operations other than the identity on the shortest way from input to output; `NUM_NODES` where there is none.

    Zero is a residual cell: the output is the input and something more (He et al., CVPR 2016). Equal cells have equal
    shortest ways, for every way is a term of their expression.
    """
    lengths = [0] + [NUM_NODES] * (NUM_NODES - 1)
    for (source, target), op in zip(EDGES, genotype, strict=True):  # in an order in which every source is done
        if op != "none":
            lengths[target] = min(lengths[target], lengths[source] + (op != "skip_connect"))
    return lengths[-1]


@cache
def _first_of_each() -> dict[str, Genotype]:
    first: dict[str, Genotype] = {}
    for genotype in product(OPERATIONS, repeat=len(EDGES)):
        first.setdefault(expression(genotype), genotype)
    return first
