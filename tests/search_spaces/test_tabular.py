"""Tables as search spaces: every meaning of a column, every way in which a table can be bad."""

from itertools import product

import numpy as np
import pytest

from search_spaces import make_space
from search_spaces.compose import answer, crossover, enumerate_space, mutate, sample, size, validate
from search_spaces.errors import InvalidArchitecture, InvalidInput
from search_spaces.footprint import Footprint
from search_spaces.genotype import EDGES, OPERATIONS, canonical
from search_spaces.table import read_table
from tests.search_spaces.tables import COLUMNS, MAPPING, write_mapping, write_table


def make(folder, kind="csv", **options):
    fields = {"family": "tabular", "table": str(write_table(folder, kind)), "mapping": str(write_mapping(folder))}
    return make_space({**fields, **options}, input_shape=(), num_classes=0)


@pytest.fixture
def space(tmp_path):
    return make(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_every_kind_of_file_is_the_same_table(tmp_path, kind):
    table = read_table(write_table(tmp_path, kind), MAPPING)
    assert len(table) == 6
    assert table.decisions == {"depth": (1, 2), "op": ("skip", "small", "large")}
    assert table.first_equal_N.tolist() == [0, 1, 1, 3, 4, 5]
    np.testing.assert_allclose(table.truth_N, [0.13, 0.32, 0.32, 0.41, 0.51, 0.62])
    assert table.inference_flops_N.tolist() == [10**6, 2 * 10**6, 2 * 10**6, 3 * 10**6, 4 * 10**6, 5 * 10**6]
    assert table.num_parameters_N.tolist() == COLUMNS["parameters"]
    assert list(table.fidelities) == [4, 8]
    assert table.fidelities[4].device_us_N.tolist() == [10**6, 2 * 10**6, 25 * 10**5, 3 * 10**6, 4 * 10**6, 5 * 10**6]
    np.testing.assert_allclose(table.fidelities[8].score_N, [0.15, 0.35, 0.25, 0.45, 0.42, 0.49])


def test_rows_may_stand_in_any_order(tmp_path):
    order = [4, 2, 0, 5, 1, 3]
    shuffled = {name: [values[row] for row in order] for name, values in COLUMNS.items()}
    fields = {"family": "tabular", "table": str(write_table(tmp_path, **shuffled)), "mapping": MAPPING}
    space = make_space(fields, input_shape=(), num_classes=0)
    for position, row in enumerate(order):
        point = answer(space, {"depth": COLUMNS["depth"][row], "op": ("skip", "small", "large")[COLUMNS["op"][row]]})
        assert space.row(point) == position
        assert space.footprint(point) == Footprint(
            inference_flops=round(COLUMNS["mflops"][row] * 1e6), num_parameters=COLUMNS["parameters"][row]
        )


def test_points_are_drawn_changed_and_enumerated_like_those_of_any_space(space):
    points = list(enumerate_space(space))
    assert [tuple(point.decisions.values()) for point in points] == list(product([1, 2], ["skip", "small", "large"]))
    assert [space.row(point) for point in points] == list(range(6))
    assert [point.depth for point in points] == [1, 1, 1, 2, 2, 2]
    assert size(space).points == 6
    rng = np.random.default_rng(0)
    for _ in range(20):
        parent, other = sample(space, rng), sample(space, rng)
        child = mutate(space, parent, rng)
        assert sum(child.decisions[name] != parent.decisions[name] for name in child.decisions) == 1
        validate(space, child)
        validate(space, crossover(space, parent, other, rng))


def test_equal_rows_are_one_network_asked_for_in_two_ways(space):
    small, large = (answer(space, {"depth": 1, "op": op}) for op in ("small", "large"))
    assert small == large
    assert small.id == large.id
    assert (space.row(small), space.row(large)) == (1, 2)
    assert len(set(enumerate_space(space))) == 5


def test_two_tables_hold_different_networks(tmp_path):
    one = make(tmp_path)
    other = make(tmp_path, mapping={**MAPPING, "name": "another six"})
    assert set(enumerate_space(one)).isdisjoint(enumerate_space(other))


def test_equal_by_genotype_is_what_the_genotypes_say(tmp_path):
    genotypes = list(product(range(len(OPERATIONS)), repeat=len(EDGES)))
    np.savez(tmp_path / "cells.npz", ops=np.array(genotypes), val=np.full(len(genotypes), 0.5), names=OPERATIONS)
    edges = {f"{s}>{t}": {"column": f"ops[{i}]", "labels": "names"} for i, (s, t) in enumerate(EDGES)}
    mapping = {
        "name": "cells",
        "decisions": edges,
        "equal": "genotype",
        "observations": [{"epochs": 1, "score": "val"}],
        "truth": "val",
    }
    table = read_table(tmp_path / "cells.npz", mapping)
    assert len(set(table.first_equal_N.tolist())) == 5260
    for row in range(0, len(table), 977):
        first = int(table.first_equal_N[row])
        one, other = (tuple(table.decisions_of(which).values()) for which in (row, first))
        assert canonical(one) == canonical(other)
    fields = {"family": "tabular", "table": str(tmp_path / "cells.npz"), "mapping": mapping}
    space = make_space(fields, input_shape=(), num_classes=0)
    ops = [{"0>3": "nor_conv_3x3"}, {"0>3": "nor_conv_3x3", "0>1": "skip_connect", "1>3": "skip_connect"}]
    cells = [answer(space, {**dict.fromkeys(edges, "none"), **one}) for one in ops]
    assert [space.shortest_path(cell) for cell in cells] == [1, 0]


def test_a_decision_with_one_answer_is_never_asked(tmp_path):
    flat = {name: values[:3] for name, values in COLUMNS.items()}
    fields = {"family": "tabular", "table": str(write_table(tmp_path, **flat)), "mapping": MAPPING}
    space = make_space(fields, input_shape=(), num_classes=0)
    point = sample(space, np.random.default_rng(0))
    assert list(point.decisions) == ["op"]
    assert point.form["decisions"]["depth"] == 1
    assert 0 <= space.row(point) < 3


@pytest.mark.parametrize(
    ("limits", "within"),
    [
        ({"max_inference_flops": 3_000_000}, [0, 1, 2, 3]),
        ({"max_parameters": 200}, [0, 1, 2]),
        ({"max_inference_flops": 4_000_000, "max_parameters": 399}, [0, 1, 2, 3]),
    ],
)
def test_limits_leave_the_smaller_networks(tmp_path, limits, within):
    space = make(tmp_path, **limits)
    assert [space.row(point) for point in enumerate_space(space)] == within
    assert size(space).points == len(within)
    rng = np.random.default_rng(0)
    drawn = [sample(space, rng) for _ in range(200)]
    assert {space.row(point) for point in drawn} == set(within)
    children = [mutate(space, point, rng) for point in drawn] + [crossover(space, drawn[0], one, rng) for one in drawn]
    assert {space.row(child) for child in children} <= set(within)
    with pytest.raises(InvalidArchitecture, match="exceeds the limits of the space"):
        answer(space, {"depth": 2, "op": "large"})


def test_a_network_of_a_table_cannot_be_built(space):
    with pytest.raises(InvalidArchitecture, match="can be looked up, but not built"):
        space.build(sample(space, np.random.default_rng(0)))


ONE = [0.5] * 6
BAD_COLUMNS = [
    # Changed columns of the table, what the message names, and what it says.
    ({"val_8": None}, "mapping.observations.0.score", "must be a column of .*, got 'val_8'; columns: depth, op, same"),
    ({"op": None}, "mapping.decisions.op", "must be a column of .*, got 'op'"),
    ({"same": None}, "mapping.equal", "got 'same'"),
    ({"val_4": [10, 20, np.nan, 30, 40, 50]}, "mapping.observations.1.score", "must be finite, got nan in row 2"),
    ({"test_1": [10, np.inf, 30, np.inf, 40, 50]}, "mapping.truth", r"got inf in row 1 \(2 such rows\)"),
    ({"val_4": ["a"] * 6}, "mapping.observations.1.score", "val_4 must hold numbers, got"),
    ({"mflops": [True] * 6}, "mapping.flops", "must hold numbers, got bool"),
    ({"val_8": [1, 2, 3, 4, 5, 101]}, "mapping.observations.0.score", r"in \[0, 1\], got 1.01 in row 5"),
    ({"seconds_4": [1, 2, -1, 3, 4, 5]}, "mapping.observations.1.seconds", "between 0 and .* got -1e\\+06 in row 2"),
    ({"parameters": [1e19] * 6}, "mapping.parameters", "between 0 and"),
    ({"op": [0, 1, 2, 0, 1, 3]}, "mapping.decisions.op", "must hold positions among the 3 labels, got 3"),
    ({"op": [0, 1, 1, 0, 1, 2]}, "mapping.decisions", r"got none for {'depth': 1, 'op': 'large'} \(1 such"),
    ({"depth": [1, 1, 1, 1, 2, 2]}, "mapping.decisions", "got none for {'depth': 2, 'op': 'skip'}"),
    ({"op": [0.0, 1.0, np.nan, 0.0, 1.0, 2.0]}, "mapping.decisions.op", "an answer in every row, got nan in row 2"),
]


@pytest.mark.parametrize(("columns", "field", "message"), BAD_COLUMNS)
def test_a_bad_table_is_refused_by_the_field_of_its_mapping(tmp_path, columns, field, message):
    table, mapping = write_table(tmp_path, **columns), write_mapping(tmp_path)
    with pytest.raises(InvalidInput, match=message) as refused:
        make_space({"family": "tabular", "table": str(table), "mapping": str(mapping)}, input_shape=(), num_classes=0)
    assert refused.value.field == field
    assert "\n" not in str(refused.value)


def test_duplicate_rows_are_refused(tmp_path):
    doubled = {name: [*values, values[4]] for name, values in COLUMNS.items()}
    with pytest.raises(InvalidInput, match=r"got several for {'depth': 2, 'op': 'small'} \(1 such combinations\)"):
        read_table(write_table(tmp_path, **doubled), MAPPING)


BAD_MAPPINGS = [
    ({"truth": None}, "mapping.truth", "is required"),
    ({"decisions": {}}, "mapping.decisions", "at least 1 item"),
    ({"observations": []}, "mapping.observations", "at least 1 item"),
    ({"observations": [{"epochs": 0, "score": "val_4"}]}, "mapping.observations.0.epochs", "must be at least 1"),
    ({"observations": MAPPING["observations"][:1] * 2}, "mapping.observations", "must have different epochs"),
    ({"score": "val_4"}, "mapping.score", "is not a known field; allowed: name, decisions"),
    ({"depth": "depth[0]"}, "mapping.depth", "must point into a matrix"),
    ({"equal": "genotype"}, "mapping.equal", "needs 6 decisions"),
    ({"decisions": {"op": {"column": "op", "labels": "names"}}}, "mapping.decisions.op", "got 'names'"),
    ({"decisions": {"op": {"column": "op", "labels": ["a", "b", "a"]}}}, "mapping.decisions.op", "must be distinct"),
]


@pytest.mark.parametrize(("changes", "field", "message"), BAD_MAPPINGS)
def test_a_bad_mapping_is_refused_by_its_field(tmp_path, changes, field, message):
    table, mapping = write_table(tmp_path), write_mapping(tmp_path, **changes)
    with pytest.raises(InvalidInput, match=message) as refused:
        make_space({"family": "tabular", "table": str(table), "mapping": str(mapping)}, input_shape=(), num_classes=0)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file"),
        ("none.txt", "x", "must be an .npz, .csv or .parquet file"),
        ("text.npz", "x", "cannot read"),
        ("text.parquet", "x", "cannot read"),
        ("empty.csv", "", "cannot read"),
        ("rowless.csv", "depth,op\n", "has no rows"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match=message) as refused:
        make(tmp_path, table=str(tmp_path / name))
    assert refused.value.field == "table"


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot read"), ("a: [", "is not YAML"), ("5", "must hold a mapping")]
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content, message):
    path = tmp_path / "broken.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput, match=message):
        make(tmp_path, mapping=str(path))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_inference_flops": 999_999}, "must allow the smallest network, 1000000, got 999999"),
        ({"max_parameters": 0}, "must be at least 1"),
        ({"max_parameters": 200, "mapping": {**MAPPING, "parameters": None}}, "needs a column that the mapping names"),
    ],
)
def test_limits_that_leave_nothing_are_refused(tmp_path, limits, message):
    with pytest.raises(InvalidInput, match=message):
        make(tmp_path, **limits)
