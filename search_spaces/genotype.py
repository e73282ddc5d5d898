"""Genotypes of the NAS-Bench-201 cell (Dong & Yang, ICLR 2020), and which of them are one network.

A genotype names one operation for each of the six edges between four ordered nodes: node 0 is the cell's input,
node 3 its output, and every other node the sum of what its edges bring.

Two genotypes are equal when their outputs are the same expression of the input, with `none` removed,
`skip_connect` read as identity and the terms of a sum sorted. This is `Structure.to_unique_str(True)` of the
authors' code, carried through: theirs leaves zeros and nested sums standing where a node adds several, and so tells
6466 cells apart among 15625, of which this rule joins more, down to 4930. Like theirs it compares operations by kind:
one 3x3 convolution that two edges read is equal to two of them.
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
    """The output as a function of the input `x`; equal for equal networks, and empty for a constant zero."""
    sums: list[list[str]] = [["x"]]
    for node in range(1, NUM_NODES):
        terms: list[str] = []
        for (source, target), op in zip(EDGES, genotype, strict=True):
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
def _first_of_each() -> dict[str, Genotype]:
    first: dict[str, Genotype] = {}
    for genotype in product(OPERATIONS, repeat=len(EDGES)):
        first.setdefault(expression(genotype), genotype)
    return first
