"""Grid search: which points, in which order, and which grids are refused."""

import pytest

from controllers import make_controller
from controllers.grid import MAX_POINTS, refinement
from search_spaces.errors import InvalidInput, SearchExhausted
from tests.controllers.toys import Landscape, Product
from tests.controllers.trials import running

DEPTH_AND_WIDTH = Product({"depth": (1, 2, 3), "width": (16, 32, 64)})


def grid(space, seed=0, **options):
    return make_controller("grid", options, space=space, seed=seed)


def forms(controller):
    return [tuple(point.form.values()) for point in controller.points()]


def test_ascending_varies_the_last_decision_fastest():
    controller = grid(Product({"depth": (1, 2), "op": ("a", "b")}))
    assert forms(controller) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_coarse_to_fine_of_eight_depths():
    controller = grid(Product({"depth": range(1, 9)}), order="coarse_to_fine")
    assert forms(controller) == [(1,), (8,), (4,), (2,), (6,), (3,), (5,), (7,)]


def test_coarse_to_fine_of_two_decisions_ranks_a_point_by_its_finest():
    controller = grid(DEPTH_AND_WIDTH, order="coarse_to_fine")
    corners = [(1, 16), (1, 64), (3, 16), (3, 64)]
    assert forms(controller) == [*corners, (1, 32), (2, 16), (2, 32), (2, 64), (3, 32)]


def test_coarse_to_fine_looks_at_gridded_decisions_only():
    controller = grid(DEPTH_AND_WIDTH, over=["depth"], defaults={"width": 32}, order="coarse_to_fine")
    assert forms(controller) == [(1, 32), (3, 32), (2, 32)]


@pytest.mark.parametrize(
    ("num_options", "expected"),
    [(1, [0]), (2, [0, 0]), (3, [0, 1, 0]), (5, [0, 2, 1, 2, 0]), (6, [0, 2, 1, 2, 3, 0])],
)
def test_refinement_by_hand(num_options, expected):
    # Six options, last index 5: halves floor(5/2) = 2; quarters floor(5/4) = 1 and floor(15/4) = 3; eighths
    # floor(25/8) = 3, floor(35/8) = 4.
    assert [refinement(index, num_options) for index in range(num_options)] == expected


def test_shuffled_is_a_permutation_that_the_seed_decides():
    ascending = forms(grid(DEPTH_AND_WIDTH))
    one, same, other = (forms(grid(DEPTH_AND_WIDTH, seed, order="shuffled")) for seed in (1, 1, 2))
    assert one == same
    assert sorted(one) == sorted(other) == sorted(ascending)
    assert len({tuple(order) for order in (one, other, ascending)}) == 3


def test_decisions_outside_the_grid_take_their_default_or_first_option():
    space = Landscape()
    controller = grid(space, over=["depth"], defaults={"block1.op": "gate", "*.op": "attention", "*.width": 64})
    assert [point.depth for point in controller.points()] == [1, 2, 3, 4, 5, 6]
    assert controller.points()[2].form["blocks"] == [["gate", 64], ["attention", 64], ["attention", 64]]
    assert grid(space, over=["depth"]).points()[1].form["blocks"] == [["convolution", 16]] * 2


def test_tied_blocks_are_one_axis():
    tied = grid(Landscape(), over=["depth", "*.op"], tied=True)
    assert len(tied.points()) == 6 * 4
    assert all(len({op for op, _ in point.form["blocks"]}) == 1 for point in tied.points())
    assert len(grid(Landscape(max_depth=3), over=["depth", "*.op"]).points()) == 4 + 4**2 + 4**3


def test_equal_networks_are_one_point():
    controller = grid(Product({"depth": (1, 2), "_spelling": ("old", "new")}))
    assert forms(controller) == [(1,), (2,)]


def test_a_space_without_decisions_is_a_grid_of_one_point():
    assert forms(grid(Product({"depth": (3,)}))) == [(3,)]


def test_proposes_every_point_once_whatever_is_pending():
    controller = grid(DEPTH_AND_WIDTH)
    pending = []
    for number in range(9):
        pending.append(running(number, controller.ask(number, pending)))
    assert tuple(trial.architecture for trial in pending) == controller.points()
    with pytest.raises(SearchExhausted, match="all 9 grid points are trained"):
        controller.ask(9, pending)


def test_refuses_more_combinations_than_the_limit(monkeypatch):
    assert MAX_POINTS == 100_000
    monkeypatch.setattr("controllers.grid.MAX_POINTS", 8)
    assert len(grid(DEPTH_AND_WIDTH, over=["depth"]).points()) == 3
    assert len(grid(Product({"depth": range(8)})).points()) == 8
    with pytest.raises(InvalidInput, match=r"over: a grid may have 8 combinations at most"):
        grid(DEPTH_AND_WIDTH)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"over": ["dpeth"]}, r"over: 'dpeth' matches no decision; decisions: depth, width"),
        ({"over": []}, r"over: .*at least 1 item"),
        ({"over": ["depth"], "defaults": {"width": 48}}, r"defaults: width must be one of \[16, 32, 64\], got 48"),
        ({"over": ["depth"], "defaults": {"wdth": 16}}, r"defaults: 'wdth' matches no decision .* those are: width"),
        ({"defaults": {"width": 16}}, r"defaults: 'width' matches no decision outside the grid; those are: none"),
        ({"order": "descending"}, r"order: .*'ascending', 'shuffled' or 'coarse_to_fine', got 'descending'"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(InvalidInput, match=message):
        grid(DEPTH_AND_WIDTH, **options)
