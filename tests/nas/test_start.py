"""Where methods start: architectures, slices of a grid, and the best of earlier studies."""

import pytest

from nas import open_store, parse_spec, simulate_study
from nas.plan import Plan
from nas.spec import dump_spec
from search_spaces.errors import InvalidInput, StoreError
from tests.search_spaces.tables import MAPPING, write_table


@pytest.fixture
def spec(tmp_path):
    table = write_table(tmp_path)

    def make(*methods, name="six", **fields):
        return parse_spec(
            {
                "name": name,
                "space": {"family": "tabular", "table": str(table), "mapping": MAPPING},
                "methods": methods,
                "seeds": 1,
                "budget": {"trials": 4},
                "training": {"epochs": 8},
                "resources": {"workers": 1},
                **fields,
            }
        )

    return make


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as opened:
        yield opened


def first_decisions(store, name, number):
    trials = store.frame("trials", name)
    return trials[trials["kind"] == "architecture"]["decisions"].head(number).tolist()


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ([{"depth": 2}, {"op": "large"}], [{"depth": 2, "op": "skip"}, {"depth": 1, "op": "large"}]),
        ({"grid": {}, "top": 2}, [{"depth": 1, "op": "skip"}, {"depth": 1, "op": "small"}]),
        (
            {"grid": {"over": ["depth"], "defaults": {"op": "large"}}, "top": 9},
            [{"depth": 1, "op": "large"}, {"depth": 2, "op": "large"}],
        ),
        ({"grid": {"listed": [{"depth": 2, "op": "small"}]}, "top": 1}, [{"depth": 2, "op": "small"}]),
    ],
)
def test_a_method_tries_first_what_it_is_given(spec, store, start, first):
    study = spec({"method": "random", "start_from": start})
    simulate_study(study, store)
    assert first_decisions(store, "six", len(first)) == first
    assert parse_spec(store.load("six").spec).methods == study.methods


def test_an_earlier_study_is_looked_up_once(spec, store):
    """The grid has tried the first four networks: scores 0.15, 0.35, 0.45 and 0.42."""
    simulate_study(spec("grid", {"method": "fixed", "architecture": {"depth": 2, "op": "large"}}), store)
    later = spec({"method": "random", "start_from": {"study": "six", "label": "grid", "top": 2}}, name="later")
    simulate_study(later, store)
    best = [{"depth": 2, "op": "skip"}, {"depth": 2, "op": "small"}]
    assert first_decisions(store, "later", 2) == best
    assert store.load("later").spec["methods"] == [{"method": "random", "label": "random", "start_from": best}]
    simulate_study(spec({"method": "random", "start_from": {"study": "six"}}, name="best"), store)
    assert first_decisions(store, "best", 1) == [{"depth": 2, "op": "large"}]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (5, r"methods.0.start_from: must be a list of architectures, \{grid: FIELDS, top: N\}"),
        ([], "methods.0.start_from: must be a list of architectures"),
        ({"grid": {}}, "methods.0.start_from.top: is required"),
        ({"grid": {}, "top": 0}, "methods.0.start_from.top: must be at least 1"),
        ({"grid": {}, "top": 1, "topp": 1}, "methods.0.start_from.topp: is not a known field"),
        ({"study": "six", "best": 3}, "methods.0.start_from.best: is not a known field; allowed: study, label, top"),
        ([{"depth": 9}], r"methods.0.start_from: depth must be one of \[1, 2\], got 9"),
        ({"grid": {"over": ["width"]}, "top": 1}, "methods.0.start_from.grid.over: 'width' matches no decision"),
    ],
)
def test_a_start_that_is_none_is_refused_by_its_field(spec, start, message):
    with pytest.raises(InvalidInput, match=message):
        Plan(spec({"method": "random", "start_from": start}))


def test_an_earlier_study_must_have_something_to_start_from(spec, store):
    with pytest.raises(StoreError, match="there is no study 'six'"):
        simulate_study(spec({"method": "random", "start_from": {"study": "six"}}), store)
    plan = Plan(spec("random"))
    store.create_study("six", dump_spec(plan.spec), plan.runs, {})
    with pytest.raises(InvalidInput, match=r"methods.0.start_from.study: six has not completed a trial yet"):
        simulate_study(spec({"method": "random", "start_from": {"study": "six"}}), store)
    with pytest.raises(InvalidInput, match=r"methods.0.start_from.label: must be one of random, got 'grid'"):
        simulate_study(spec({"method": "random", "start_from": {"study": "six", "label": "grid"}}), store)
    assert [study.name for study in store.studies()] == ["six"]
