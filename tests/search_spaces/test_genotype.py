"""Equality of cells, against the benchmark's own figure, brute force and cases worked by hand."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations, product

import numpy as np
import pytest
import torch

from search_spaces.cell import CellNetwork
from search_spaces.genotype import EDGES, OPERATIONS, canonical, expression, from_text, shortest_path, to_text

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


WEIGHTS_6 = np.array([0.7, -1.3, 1.9, 0.4, -0.6, 1.1])
OWN_WEIGHTS_PE = WEIGHTS_6[list(permutations(range(6)))]
"""All ways, `P = 720`, to hand six sets of weights to the `E = 6` edges."""
SAME_WEIGHTS_PE = np.full((1, 6), 0.7)


def value(genotype: tuple[str, ...], weights_PE: np.ndarray) -> tuple[float, ...]:
    """The cell as a function of a number: three moments of its outputs over all assignments of weights to edges.

    They do not depend on which of its convolutions is which. All operations but the skip are nonlinear and map 0 to 0.
    """
    functions = {
        SKIP: lambda x_P, _: x_P,
        ONE: lambda x_P, w_P: np.tanh(w_P * x_P + 0.3 * x_P**2),
        THREE: lambda x_P, w_P: np.sin(w_P * x_P) + 0.2 * w_P * x_P**2,
        POOL: lambda x_P, _: np.expm1(0.3 * x_P),
    }
    nodes_NP = np.zeros((4, len(weights_PE)))
    nodes_NP[0] = 0.37
    for (source, target), op, w_P in zip(EDGES, genotype, weights_PE.T, strict=True):
        if op != NONE:
            nodes_NP[target] += functions[op](nodes_NP[source], w_P)
    return tuple(np.round([(nodes_NP[3] ** power).mean() for power in (1, 2, 3)], 9) + 0.0)


def live_convolutions(genotype: tuple[str, ...]) -> tuple[str, ...]:
    """Kinds of the convolutions on a way from the input to the output."""
    edges = dict(zip(EDGES, genotype, strict=True))
    ways = [((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3))]
    live = {edge for way in ways if all(edges[edge] != NONE for edge in way) for edge in way}
    return tuple(sorted(edges[edge] for edge in live if edges[edge] in (ONE, THREE)))


def num_canonical_forms(key: Callable[[tuple[str, ...]], object]) -> Counter[int]:
    """How many classes of cells with an equal `key` have how many canonical genotypes."""
    forms: dict[object, set[tuple[str, ...]]] = {}
    for genotype in ALL:
        forms.setdefault(key(genotype), set()).add(canonical(genotype))
    return Counter(len(of_one) for of_one in forms.values())


def test_cells_are_equal_exactly_when_they_compute_the_same_function_of_input_and_weights():
    assert len({canonical(genotype) for genotype in ALL}) == 5_260
    assert num_canonical_forms(lambda genotype: value(genotype, OWN_WEIGHTS_PE)) == {1: 5_260}


def test_the_oracle_finds_the_papers_number_of_unique_cells():
    assert len(ALL) == 15_625
    assert len({unique_string(genotype) for genotype in ALL}) == 6_466


def test_cells_with_the_benchmarks_string_and_the_same_convolutions_are_equal():
    forms = num_canonical_forms(lambda genotype: (unique_string(genotype), live_convolutions(genotype)))
    assert set(forms) == {1}


def test_the_benchmarks_string_joins_one_convolution_read_twice_with_two():
    read_twice = (THREE, NONE, ONE, NONE, SKIP, SKIP)  # along 1>3 and 1>2>3
    two = (THREE, NONE, ONE, THREE, NONE, SKIP)
    assert unique_string(read_twice) == unique_string(two)
    assert canonical(read_twice) != canonical(two)


def test_the_benchmarks_string_separates_cells_by_a_zero():
    direct, through_a_sum_with_zero = (NONE, NONE, NONE, THREE, NONE, NONE), (NONE, SKIP, NONE, NONE, NONE, THREE)
    assert unique_string(direct) != unique_string(through_a_sum_with_zero)
    assert canonical(direct) == canonical(through_a_sum_with_zero)


def test_by_kind_alone_there_would_be_fewer_networks():
    assert len({value(genotype, SAME_WEIGHTS_PE) for genotype in ALL}) == 4_930


@pytest.mark.parametrize("seed", range(5))
def test_the_canonical_network_gives_the_same_outputs_with_the_same_convolutions(seed):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    h_BCHW = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    for genotype in [ALL[index] for index in rng.integers(len(ALL), size=10)]:
        cell = CellNetwork(to_text(genotype), 2).double().eval()
        same = CellNetwork(to_text(canonical(genotype)), 2).double().eval()
        assert any(torch.allclose(same(h_BCHW), cell(h_BCHW)) for _ in hand_over_convolutions(cell, same)), genotype


def hand_over_convolutions(cell: CellNetwork, same: CellNetwork) -> Iterator[None]:
    """Every way to give each convolution of `same` the weights of one of its kind in `cell`."""
    ours, theirs = (
        [edge for edge in network.edges.values() if isinstance(edge, torch.nn.Sequential)] for network in (same, cell)
    )
    for chosen in permutations(theirs, len(ours)):
        if all(one[1][0].kernel_size == other[1][0].kernel_size for one, other in zip(ours, chosen, strict=True)):
            for one, other in zip(ours, chosen, strict=True):
                one.load_state_dict(other.state_dict())
            yield


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
        ((ONE, NONE, SKIP, NONE, SKIP, SKIP), "shared_nor_conv_1x1(x)+shared_nor_conv_1x1(x)"),  # one, read twice
        ((ONE, NONE, NONE, ONE, SKIP, NONE), "nor_conv_1x1(x)+nor_conv_1x1(x)"),  # two
        ((ONE, NONE, SKIP, NONE, SKIP, NONE), "nor_conv_1x1(x)"),  # its second way ends in node 2
        ((ONE, ONE, NONE, NONE, SKIP, SKIP), "nor_conv_1x1(x)+nor_conv_1x1(x)"),
        ((POOL, NONE, SKIP, NONE, SKIP, SKIP), "avg_pool_3x3(x)+avg_pool_3x3(x)"),
        ((ONE, NONE, THREE, NONE, SKIP, SKIP), "nor_conv_3x3(shared_nor_conv_1x1(x))+shared_nor_conv_1x1(x)"),
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


def test_shortest_paths_are_those_of_all_ways_and_the_same_for_equal_cells():
    ways = [((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3))]
    for genotype in ALL:
        edges = dict(zip(EDGES, genotype, strict=True))
        open_ways = [[edges[edge] for edge in way] for way in ways if all(edges[edge] != NONE for edge in way)]
        lengths = [sum(op != SKIP for op in way) for way in open_ways]
        assert shortest_path(genotype) == (min(lengths) if lengths else 4)
        assert shortest_path(canonical(genotype)) == shortest_path(genotype)
