import pytest
import torch

from search_spaces import SearchSpace, make_space
from search_spaces.cell import CellNetwork
from search_spaces.compose import answer, enumerate_space, size
from search_spaces.flops import inference_flops
from search_spaces.genotype import OPERATIONS, to_text

EDGE_NAMES = ("edge0>1", "edge0>2", "edge1>2", "edge0>3", "edge1>3", "edge2>3")
NONE, SKIP, ONE, THREE, POOL = OPERATIONS
BENCHMARK_STAGES = [
    {"depth": 5, "width": 16},
    {"depth": 5, "width": 32, "stride": 2},
    {"depth": 5, "width": 64, "stride": 2},
]
"""The skeleton of NAS-Bench-201."""


def cell_space(input_shape: tuple[int, ...] = (3, 8, 8), **options) -> SearchSpace:
    return make_space({"family": "cell", **options}, input_shape=input_shape, num_classes=10)


def genotype(*ops: str) -> dict[str, str]:
    return dict(zip(EDGE_NAMES, ops, strict=True))


@pytest.mark.parametrize(
    ("op", "num_parameters", "megaflops"),
    [
        # the extremes that the benchmark reports for CIFAR-10; it counts multiplications, and the head's ten additions
        (NONE, 73_306, 7.78305),
        (THREE, 1_531_546, 220.11969),
    ],
)
def test_the_benchmarks_skeleton_has_the_benchmarks_size(op, num_parameters, megaflops):
    space = cell_space((3, 32, 32), stages=BENCHMARK_STAGES)
    network = space.build(answer(space, genotype(*[op] * 6)))
    assert sum(weight.numel() for weight in network.parameters()) == num_parameters
    assert inference_flops(network, (3, 32, 32)) / 2 + 10 == round(megaflops * 1e6)


def test_the_decisions_are_the_depth_and_one_genotype_for_all_cells():
    space = cell_space(depth=[1, 2, 3])
    one = answer(space, {"depth": 3, **genotype(THREE, NONE, NONE, NONE, SKIP, NONE)})
    assert tuple(one.decisions) == ("depth", *EDGE_NAMES)
    ops = [block["op"] for block in one.form["stages"][0]["blocks"]]
    assert len(ops) == 3
    assert len(set(ops)) == 1


def test_without_cells_there_is_no_genotype():
    space = cell_space(depth=[0, 1], ops=[SKIP, THREE])
    assert answer(space, {"depth": 0}).decisions == {"depth": 0}
    assert size(space).points == 1 + 2**6


def test_equal_networks_have_equal_ids():
    space = cell_space(depth=1)
    direct = answer(space, genotype(NONE, NONE, NONE, THREE, NONE, NONE))
    for same in [
        genotype(THREE, NONE, NONE, NONE, SKIP, NONE),  # through node 1
        genotype(SKIP, NONE, NONE, NONE, THREE, NONE),
        genotype(NONE, THREE, NONE, NONE, NONE, SKIP),  # through node 2
        genotype(POOL, ONE, ONE, THREE, NONE, NONE),  # nodes 1 and 2 lead nowhere
        genotype(NONE, NONE, POOL, THREE, ONE, ONE),  # nodes 1 and 2 get nothing
    ]:
        assert answer(space, same).id == direct.id
    assert answer(space, genotype(NONE, NONE, NONE, ONE, NONE, NONE)).id != direct.id
    assert answer(cell_space(depth=2), genotype(NONE, NONE, NONE, THREE, NONE, NONE)).id != direct.id


def test_a_convolution_read_twice_is_not_two_convolutions():
    space = cell_space(depth=1, width=4)
    read_twice = answer(space, genotype(THREE, NONE, SKIP, NONE, SKIP, SKIP))
    two = answer(space, genotype(THREE, NONE, NONE, THREE, SKIP, NONE))
    assert read_twice.id != two.id
    one_flops = 2 * 8 * 8 * 9 * 4 * 4
    costs = [inference_flops(space.build(one), (3, 8, 8)) for one in (read_twice, two)]
    assert costs[1] - costs[0] == one_flops


def test_an_average_pool_read_twice_is_two_pools():
    space = cell_space(depth=1)
    read_twice = answer(space, genotype(POOL, NONE, SKIP, NONE, SKIP, SKIP))
    assert answer(space, genotype(POOL, NONE, NONE, POOL, SKIP, NONE)).id == read_twice.id


def test_the_space_has_as_many_networks_as_there_are_cells_that_differ():
    # with these two operations a cell is a multiple of x, by 0 to 4: 5 networks among 64 points
    space = cell_space(depth=1, ops=[SKIP, NONE])
    assert size(space).points == 64
    assert len(set(enumerate_space(space))) == 5


def test_a_cell_adds_up_what_its_edges_bring():
    torch.manual_seed(0)
    cell = CellNetwork(to_text((ONE, THREE, SKIP, POOL, NONE, THREE)), 4).eval()
    h_BCHW = torch.randn(2, 4, 5, 5)
    one_BCHW = cell.edges["0>1"](h_BCHW)
    two_BCHW = cell.edges["0>2"](h_BCHW) + one_BCHW
    expected_BCHW = cell.edges["0>3"](h_BCHW) + cell.edges["2>3"](two_BCHW)
    assert set(cell.edges) == {"0>1", "0>2", "1>2", "0>3", "2>3"}
    torch.testing.assert_close(cell(h_BCHW), expected_BCHW)


def test_skips_and_pools_are_what_they_say():
    h_BCHW = torch.randn(2, 4, 5, 5)
    all_skips = CellNetwork(to_text([SKIP] * 6), 4)
    torch.testing.assert_close(all_skips(h_BCHW), 4 * h_BCHW)
    pool = CellNetwork(to_text([NONE, NONE, NONE, POOL, NONE, NONE]), 4)(h_BCHW)
    torch.testing.assert_close(pool[:, :, 0, 0], h_BCHW[:, :, :2, :2].mean(dim=(2, 3)))  # a corner has four pixels
    torch.testing.assert_close(pool[:, :, 2, 2], h_BCHW[:, :, 1:4, 1:4].mean(dim=(2, 3)))


def test_a_convolution_edge_is_relu_convolution_normalisation():
    cell = CellNetwork(to_text([NONE, NONE, NONE, THREE, NONE, NONE]), 4)
    h_BCHW = torch.randn(8, 4, 5, 5)
    out_BCHW = cell(h_BCHW)
    assert torch.equal(out_BCHW, cell(h_BCHW.clamp(min=0)))
    torch.testing.assert_close(out_BCHW.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-6, rtol=0)


def test_a_cell_without_a_way_to_its_output_gives_zeros_and_still_trains():
    space = cell_space(depth=2, width=4)
    network = space.build(answer(space, genotype(*[NONE] * 6)))
    x_BCHW = torch.randn(4, 3, 8, 8)
    assert not network.hidden_states(x_BCHW)[-1].any()
    y_BK = network(x_BCHW)
    assert torch.equal(y_BK, y_BK[:1].expand(4, -1))
    y_BK.square().sum().backward()
    assert network.head[-1].bias.grad.abs().max() > 0
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in network.parameters())


def test_a_reduction_stands_in_the_level_of_the_cell_after_it():
    stages = [{"depth": 1, "width": 4}, {"depth": 2, "width": 8, "stride": 2}]
    space = cell_space((3, 7, 5), stages=stages)
    network = space.build(answer(space, {}, partial=True))
    shapes = [tuple(state.shape[1:]) for state in network.hidden_states(torch.randn(2, 3, 7, 5))]
    assert shapes == [(4, 7, 5), (4, 7, 5), (8, 4, 3), (8, 4, 3)]
