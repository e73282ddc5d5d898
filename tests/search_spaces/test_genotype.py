"""Equality of cells, against the benchmark's own figure, brute force and cases worked by hand."""

from itertools import product

import numpy as np
import pytest

from search_spaces.genotype import EDGES, OPERATIONS, canonical, expression, from_text, to_text

ALL = list(product(OPERATIONS, repeat=6))
NONE, SKIP, ONE, THREE, POOL = OPERATIONS


def unique_string(genotype: tuple[str, ...]) -> str:
    """Section 2.1 of the benchmark's paper as its authors coded it (`Structure.to_unique_str(True)`)."""
    nodes = ["0", "", "", ""]
    for target in (1, 2, 3):
        terms = []
        for (source, end), op in zip(EDGES, genotype, strict=True):
            if end != target:
                continue
            if op == "none" or nodes[source] == "#":
                terms.append("#")
            else:
                terms.append(nodes[source] if op == "skip_connect" else f"({nodes[source]})@{op}")
        nodes[target] = "+".join(sorted(terms))
    return nodes[3]


def value(genotype: tuple[str, ...]) -> tuple[float, ...]:
    """The cell as a function of numbers: nonlinear operations without a constant, one for each kind."""
    functions = {
        "skip_connect": lambda x: x,
        "nor_conv_1x1": np.tanh,
        "nor_conv_3x3": lambda x: np.sin(1.7 * x),
        "avg_pool_3x3": lambda x: np.expm1(0.3 * x),
    }
    nodes = [np.array([0.37, -0.81]), *(np.zeros(2) for _ in range(3))]
    for (source, target), op in zip(EDGES, genotype, strict=True):
        if op != "none":
            nodes[target] = nodes[target] + functions[op](nodes[source])
    return tuple(np.round(nodes[3], 9) + 0.0)


def test_the_oracle_finds_the_papers_number_of_unique_cells():
    assert len(ALL) == 15_625
    assert len({unique_string(genotype) for genotype in ALL}) == 6_466


def test_cells_that_the_benchmark_calls_equal_are_equal():
    ours: dict[str, set[tuple[str, ...]]] = {}
    for genotype in ALL:
        ours.setdefault(unique_string(genotype), set()).add(canonical(genotype))
    assert all(len(forms) == 1 for forms in ours.values())


def test_cells_are_equal_exactly_when_they_compute_the_same_function():
    forms_of_value: dict[tuple[float, ...], set[tuple[str, ...]]] = {}
    for genotype in ALL:
        forms_of_value.setdefault(value(genotype), set()).add(canonical(genotype))
    assert all(len(forms) == 1 for forms in forms_of_value.values())
    forms = {canonical(genotype) for genotype in ALL}
    assert len(forms_of_value) == len(forms) == 4_930


def test_the_canonical_genotype_is_the_network_itself():
    for genotype in ALL:
        assert expression(canonical(genotype)) == expression(genotype)
        assert canonical(canonical(genotype)) == canonical(genotype)


def test_no_canonical_edge_is_dead():
    for genotype in {canonical(genotype) for genotype in ALL}:
        live = {edge for edge, op in zip(EDGES, genotype, strict=True) if op != "none"}
        for source, target in live:
            assert source == 0 or any(end == source for _, end in live)
            assert target == 3 or any(start == target for start, _ in live)


@pytest.mark.parametrize(
    ("genotype", "expected"),
    [
        # edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3
        ((NONE, NONE, NONE, NONE, NONE, NONE), ""),
        ((THREE, THREE, THREE, NONE, NONE, NONE), ""),  # nothing reaches the output
        ((NONE, NONE, THREE, NONE, THREE, THREE), ""),  # the input reaches nothing
        ((SKIP, SKIP, SKIP, SKIP, SKIP, SKIP), "x+x+x+x"),
        ((THREE, NONE, NONE, NONE, SKIP, NONE), "nor_conv_3x3(x)"),
        ((NONE, NONE, NONE, THREE, NONE, NONE), "nor_conv_3x3(x)"),
        ((SKIP, NONE, POOL, NONE, NONE, SKIP), "avg_pool_3x3(x)"),
        ((ONE, NONE, THREE, SKIP, NONE, SKIP), "nor_conv_3x3(nor_conv_1x1(x))+x"),
        ((SKIP, SKIP, NONE, NONE, ONE, POOL), "avg_pool_3x3(x)+nor_conv_1x1(x)"),
        ((SKIP, SKIP, SKIP, NONE, NONE, ONE), "nor_conv_1x1(x+x)"),
    ],
)
def test_expressions_by_hand(genotype, expected):
    assert expression(genotype) == expected


def test_text_is_the_benchmarks_notation():
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
    genotype = (THREE, NONE, SKIP, POOL, ONE, SKIP)
    assert to_text(genotype) == text
    assert from_text(text) == genotype
    assert all(from_text(to_text(one)) == one for one in ALL[::97])
