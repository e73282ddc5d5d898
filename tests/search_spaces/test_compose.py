"""The generic functions, against points counted and worked out by hand."""

import numpy as np
import pytest

from search_spaces import Architecture, SearchSpace, make_space
from search_spaces.compose import (
    answer,
    crossover,
    encode,
    enumerate_space,
    mutate,
    neighbours,
    sample,
    size,
    trace,
    validate,
)
from search_spaces.errors import InvalidArchitecture


def mlp(**options) -> SearchSpace:
    return make_space({"family": "mlp", **options}, input_shape=(4,), num_classes=2)


def resnet(**options) -> SearchSpace:
    return make_space({"family": "resnet", **options}, input_shape=(1, 8, 8), num_classes=2)


TWO_OPS_TWO_WIDTHS = {"ops": ["dense", "residual"], "block_width": [2, 4]}


@pytest.mark.parametrize(
    ("space", "points"),
    [
        (mlp(depth=3), 1),
        (mlp(depth={"min": 0, "max": 4}), 5),
        (mlp(depth=[1, 2], width=[8, 16, 32]), 2 * 3),
        (mlp(depth={"min": 1, "max": 3}, **TWO_OPS_TWO_WIDTHS), 4 + 4**2 + 4**3),
        (mlp(depth=[0, 3], width=[8, 16], **TWO_OPS_TWO_WIDTHS), 2 * (1 + 4**3)),
        # plain and separable have no inner width: 2 + 1 + 1 forms of a block
        (resnet(depth=[1, 2], ops=["basic", "plain", "separable"], block_width=[2, 4]), 4 + 4**2),
        # each stage picks its own depth: (1 + 2) * (2 + 4)
        (resnet(stages=[{"depth": [0, 1], "width": 2}, {"depth": [1, 2], "width": 4}], ops=["basic", "plain"]), 3 * 6),
    ],
)
def test_size_is_counted_exactly(space, points):
    assert size(space).exact
    assert size(space).points == points
    assert len(set(enumerate_space(space))) == points
    assert str(size(space)) == str(points)


def test_size_of_a_large_space_is_estimated():
    large = size(mlp(depth={"min": 1, "max": 12}, **TWO_OPS_TWO_WIDTHS))
    assert not large.exact
    # the sum of 4^d for d = 1..12; one probe has 2.5 times its mean as deviation, 2000 of them 6 percent
    assert large.points == pytest.approx((4**13 - 4) / 3, rel=0.2)


def test_size_counts_a_space_at_the_limit_and_estimates_beyond():
    space = mlp(depth=4, ops=["dense", "residual"])
    assert size(space, limit=16).exact
    assert not size(space, limit=15).exact
    assert size(space, limit=15).points == 16  # every descent has the same four branchings


def test_enumeration_is_depth_first_in_the_order_of_the_options():
    points = [dict(one.decisions) for one in enumerate_space(mlp(depth=[2, 1], ops=["residual", "dense"]))]
    assert points == [
        {"depth": 2, "block1.op": "residual", "block2.op": "residual"},
        {"depth": 2, "block1.op": "residual", "block2.op": "dense"},
        {"depth": 2, "block1.op": "dense", "block2.op": "residual"},
        {"depth": 2, "block1.op": "dense", "block2.op": "dense"},
        {"depth": 1, "block1.op": "residual"},
        {"depth": 1, "block1.op": "dense"},
    ]


def test_axes_leave_the_other_decisions_at_their_first_option():
    space = mlp(depth=[1, 2], width=[8, 16], ops=["dense", "residual"])
    points = [dict(one.decisions) for one in enumerate_space(space, ("depth",))]
    assert points == [
        {"depth": 1, "width": 8, "block1.op": "dense"},
        {"depth": 2, "width": 8, "block1.op": "dense", "block2.op": "dense"},
    ]


def test_tied_axes_give_all_blocks_the_same_answer():
    space = mlp(depth=[1, 2], ops=["dense", "residual"])
    points = [tuple(one.decisions.values()) for one in enumerate_space(space, ("depth", "block*.op"), tied=True)]
    assert points == [(1, "dense"), (1, "residual"), (2, "dense", "dense"), (2, "residual", "residual")]


def test_answer_names_an_architecture():
    space = mlp(depth=[1, 2], ops=["dense", "residual"])
    one = answer(space, {"depth": 1, "block1.op": "residual"})
    assert one.depth == 1
    assert one.form["stages"][0]["blocks"] == [{"op": "residual", "width": None}]
    assert answer(space, {"block1.op": "residual"}, partial=True) == one


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ({"depth": 1}, r"block1.op must be one of \['dense', 'residual'\], got nothing"),
        ({"depth": 3, "block1.op": "dense"}, r"depth must be one of \[1, 2\], got 3"),
        ({"depth": 1, "block1.op": "conv"}, r"block1.op must be one of \['dense', 'residual'\], got 'conv'"),
        ({"depth": 1, "block1.op": "dense", "block2.op": "dense"}, "block2.op is not a decision of this architecture"),
    ],
)
def test_answer_refuses_what_is_not_a_point(decisions, message):
    with pytest.raises(InvalidArchitecture, match=message):
        answer(mlp(depth=[1, 2], ops=["dense", "residual"]), decisions)


def test_answers_keep_the_type_of_their_option():
    space = mlp(depth=[1, 2])
    assert answer(space, {"depth": 1.0}).id == answer(space, {"depth": True}).id == answer(space, {"depth": 1}).id
    assert type(answer(space, {"depth": 1.0}).decisions["depth"]) is int


def test_validate_refuses_a_form_that_the_decisions_do_not_lead_to():
    space = mlp(depth=[1, 2])
    one, two = enumerate_space(space)
    validate(space, one)
    with pytest.raises(InvalidArchitecture, match="a form that its decisions do not lead to"):
        validate(space, Architecture(depth=2, form=two.form, decisions=one.decisions))


def test_sampling_is_uniform_over_the_options():
    space = mlp(depth={"min": 1, "max": 4})
    rng = np.random.default_rng(0)
    counts = np.bincount([sample(space, rng).depth for _ in range(4000)], minlength=5)[1:]
    # binomial: mean 1000, standard deviation 27
    assert np.all(np.abs(counts - 1000) < 4 * 27.4)


def test_mutations_add_up():
    space = mlp(depth=[10], ops=["dense", "residual"])
    parent = answer(space, {}, partial=True)
    child = mutate(space, parent, np.random.default_rng(0), num_mutations=1)
    assert list(child.decisions.values()).count("residual") == 1
    thrice = mutate(space, parent, np.random.default_rng(0), num_mutations=3)
    assert list(thrice.decisions.values()).count("residual") in (1, 3)  # the same block may be hit twice


def test_a_point_without_decisions_mutates_to_itself():
    space = mlp(depth=3)
    only = answer(space, {})
    assert mutate(space, only, np.random.default_rng(0)) == only


def test_crossover_of_equal_parents_is_the_parent():
    space = mlp(depth=[1, 2, 3], **TWO_OPS_TWO_WIDTHS)
    parent = sample(space, np.random.default_rng(3))
    assert crossover(space, parent, parent, np.random.default_rng(0)).decisions == parent.decisions


def test_crossover_takes_either_parent_with_equal_chance():
    space = mlp(depth=1, width=[8, 16])
    low, high = enumerate_space(space)
    rng = np.random.default_rng(0)
    widths = [crossover(space, low, high, rng).decisions["width"] for _ in range(1000)]
    assert abs(widths.count(8) - 500) < 4 * 15.8


def test_encode_is_one_hot_with_the_depth_in_front():
    space = mlp(depth=[1, 2], ops=["dense", "residual"])
    short = answer(space, {"depth": 1, "block1.op": "residual"})
    long = answer(space, {"depth": 2, "block1.op": "residual", "block2.op": "dense"})
    matrix, columns = encode([short, long])
    assert columns == ("depth", "block1.op=residual", "block2.op=dense", "depth=1", "depth=2")
    assert matrix.tolist() == [[1, 1, 0, 1, 0], [2, 1, 1, 0, 1]]


def test_encode_of_nothing_has_only_the_depth():
    matrix, columns = encode([])
    assert matrix.shape == (0, 1)
    assert columns == ("depth",)


def test_trace_records_questions_and_answers():
    space = mlp(depth=[1, 2], width=[8, 16])
    one, asked = trace(space, lambda _, options: options[-1])
    assert [(decision.name, decision.options, decision.answer) for decision in asked] == [
        ("depth", (1, 2), 2),
        ("width", (8, 16), 16),
    ]
    assert one.decisions == {"depth": 2, "width": 16}


def test_neighbours_without_conditions_are_all_at_distance_one():
    space = mlp(depth=3, width=[8, 16], ops=["dense", "residual"], block_width=[2, 4])
    everything = list(enumerate_space(space))
    for one in everything[::7]:
        expected = {
            other
            for other in everything
            if sum(one.decisions.get(name) != answer for name, answer in other.decisions.items()) == 1
            and len(other.decisions) == len(one.decisions)
        }
        found = neighbours(space, one, np.random.default_rng(0))
        assert len(found) == len(set(found))
        assert set(found) == expected


def test_neighbours_of_a_deeper_network_keep_what_they_share():
    space = mlp(depth=[1, 2, 3], **TWO_OPS_TWO_WIDTHS)
    decisions = {
        "depth": 2,
        "block1.op": "dense",
        "block1.width": 2,
        "block2.op": "residual",
        "block2.width": 4,
    }
    one = answer(space, decisions)
    shallow, deep, *others = neighbours(space, one, np.random.default_rng(0))
    assert dict(shallow.decisions) == {"depth": 1, "block1.op": "dense", "block1.width": 2}
    assert {name: deep.decisions[name] for name in decisions} == {**decisions, "depth": 3}
    assert [dict(other.decisions) for other in others] == [
        {**decisions, "block1.op": "residual"},
        {**decisions, "block1.width": 4},
        {**decisions, "block2.op": "dense"},
        {**decisions, "block2.width": 2},
    ]


def test_new_decisions_of_neighbours_are_drawn():
    space = mlp(depth=[1, 2], **TWO_OPS_TWO_WIDTHS)
    one = answer(space, {"depth": 1, "block1.op": "dense", "block1.width": 2})
    rng = np.random.default_rng(0)
    drawn = {neighbours(space, one, rng)[0] for _ in range(100)}
    assert drawn == {
        other
        for other in enumerate_space(space)
        if other.depth == 2 and other.decisions["block1.op"] == "dense" and other.decisions["block1.width"] == 2
    }


def test_decisions_that_lead_to_the_same_network_make_no_neighbour():
    assert neighbours(mlp(depth=2), answer(mlp(depth=2), {}), np.random.default_rng(0)) == ()
    space = Twins()
    assert [one.form for one in neighbours(space, answer(space, {"a": 0, "b": 0}), np.random.default_rng(0))] == [
        {"sum": 1}
    ]


class Twins:
    """Two decisions of which only the sum matters."""

    input_shape = (1,)
    num_classes = 2

    def compose(self, choose):
        return Architecture(depth=1, form={"sum": choose("a", (0, 1)) + choose("b", (0, 1))})

    def build(self, architecture):
        raise NotImplementedError
