"""Architectures as numbers for a model."""

import numpy as np

from search_spaces import make_space
from search_spaces.codes import Coder
from search_spaces.compose import answer, sample
from tests.controllers.toys import Landscape
from tests.search_spaces.tables import MAPPING, write_table


def test_equal_networks_of_a_table_share_a_code_and_sizes_are_logarithms(tmp_path):
    fields = {"family": "tabular", "table": str(write_table(tmp_path)), "mapping": MAPPING}
    space = make_space(fields, input_shape=(), num_classes=0)
    small, large, other = (
        answer(space, {"depth": depth, "op": op}) for depth, op in [(1, "small"), (1, "large"), (2, "large")]
    )
    codes = Coder(space).answers([small, large, other])
    assert codes.shape == (3, 4)  # depth 1 and 2, small and large
    assert codes[0].tolist() == codes[1].tolist()
    assert codes[0] @ codes[2] == 0
    sizes = Coder(space).sizes([small, other])
    np.testing.assert_allclose(sizes, [[1, np.log(2e6), np.log(200)], [2, np.log(5e6), np.log(500)]])


def test_absent_decisions_are_zeros_and_columns_stay_where_they_are():
    space = Landscape()
    short = answer(space, {"depth": 1, "block1.op": "gate", "block1.width": 16})
    deep = answer(space, {"depth": 2, "block1.op": "gate"}, partial=True)
    coder = Coder(space)
    first = coder.answers([short])
    both = coder.answers([short, deep])
    assert first.sum() == 3
    assert both.sum(axis=1).tolist() == [3, 5]
    assert both[0, : first.shape[1]].tolist() == first[0].tolist()
    assert both[0, first.shape[1] :].sum() == 0
    assert both[0] @ both[1] == 2  # the first block's operation and width; the depths differ
    assert coder.sizes([short, deep]).tolist() == [[1], [2]]


def test_equal_cells_share_a_code():
    options = {"family": "cell", "depth": [0, 1, 2], "width": 4}
    space = make_space(options, input_shape=(3, 6, 6), num_classes=3)
    coder, rng = Coder(space), np.random.default_rng(0)
    drawn = [sample(space, rng) for _ in range(400)]
    codes = coder.answers(drawn)
    by_id = {}
    for one, code in zip(drawn, codes, strict=True):
        assert by_id.setdefault(one.id, tuple(code)) == tuple(code)
    assert len(by_id) < len(drawn)
    assert len(set(by_id.values())) == len(by_id), "and different cells have different codes"


def test_shortest_paths_are_those_through_all_cells():
    residual = {"edge0>1": "nor_conv_3x3", "edge1>3": "nor_conv_3x3", "edge0>3": "skip_connect"}
    plain = {**residual, "edge0>3": "none"}
    space = make_space({"family": "cell", "depth": [0, 3], "width": 4}, input_shape=(3, 6, 6), num_classes=3)
    rest = dict.fromkeys(("edge0>2", "edge1>2", "edge2>3"), "none")
    cells = [answer(space, {"depth": 3, **edges, **rest}) for edges in (residual, plain)]
    empty = answer(space, {"depth": 0})
    assert Coder(space).shortest_paths([*cells, empty]).tolist() == [[0], [6], [0]]


def test_a_space_may_not_know_its_shortest_paths(tmp_path):
    fields = {"family": "tabular", "table": str(write_table(tmp_path)), "mapping": MAPPING}
    table = make_space(fields, input_shape=(), num_classes=0)
    for space in (table, Landscape()):
        drawn = [sample(space, np.random.default_rng(seed)) for seed in range(3)]
        assert Coder(space).shortest_paths(drawn).shape == (3, 0)
