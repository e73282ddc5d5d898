"""Tables as data frames, with types that do not depend on the dialect or on what the rows hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nas.store import Store
from search_spaces.errors import StoreError
from tests.nas.histories import HUGE, architecture, plan, search, start, started

TABLES = [
    "studies",
    "runs",
    "trials",
    "architectures",
    "epochs",
    "charges",
    "depth_profiles",
    "operating_points",
    "artifacts",
    "events",
]
VIEWS = ["v_incumbent", "v_compare", "v_depth", "v_operating_points"]


@pytest.mark.parametrize("name", [*TABLES, *VIEWS])
def test_types_are_the_same_with_and_without_rows(store: Store, name: str):
    empty = store.frame(name)
    study_id = store.create_study("depths", {}, [plan()], {})
    store.record(study_id, [*search(0, 0, 0, 0.5, HUGE), start(0, started(1))])
    filled = store.frame(name)
    assert list(empty.columns)
    assert empty.empty
    assert empty.dtypes.to_dict() == filled.dtypes.to_dict()


def test_columns_have_the_types_of_their_values(store: Store):
    study_id = store.create_study("depths", {"a": [1]}, [plan()], {})
    store.record(study_id, [*search(0, 0, 0, 0.5, HUGE), start(0, started(1))])
    trials = store.frame("trials")
    assert trials[["status", "flops", "val_accuracy", "finished_at", "decisions"]].dtypes.astype(str).tolist() == [
        "str",
        "Int64",
        "float64",
        "datetime64[us, UTC]",
        "object",
    ]
    assert trials["flops"].tolist() == [HUGE, 0]
    assert trials["decisions"][0] == {"depth": 2, "bias": True}
    assert trials["val_accuracy"].isna().tolist() == trials["finished_at"].isna().tolist() == [False, True]
    assert store.frame("studies")["spec"][0] == {"a": [1]}


def test_times_are_in_utc(store: Store):
    store.create_study("depths", {}, [plan()], {})
    created = store.studies()[0].created_at
    assert abs(datetime.now(UTC) - created) < timedelta(hours=1)
    assert store.frame("studies")["created_at"][0].to_pydatetime() == created


def test_a_frame_can_be_of_one_study(store: Store):
    for name, depth in (("one", 2), ("two", 3)):
        study_id = store.create_study(name, {}, [plan()], {})
        store.record(study_id, search(0, 0, 0, 0.5, 1, depth=depth))
    assert store.frame("studies", "two")["name"].tolist() == ["two"]
    assert store.frame("trials", "two")["depth"].tolist() == [3]
    assert store.frame("architectures", 1)["id"].tolist() == [architecture(2).id]
    assert len(store.frame("charges")) == 2


def test_an_unknown_table_is_an_error_that_lists_the_known(store: Store):
    with pytest.raises(StoreError, match=r"no table 'trial'; allowed: architectures, .*trials, v_incumbent"):
        store.frame("trial")


def test_a_frame_can_be_of_some_columns(store: Store):
    study_id = store.create_study("depths", {}, [plan()], {})
    store.record(study_id, [*search(0, 0, 0, 0.5, 1), *search(0, 1, 1, 0.6, 1)])
    whole = store.frame("trials")
    assert store.frame("trials", columns=["val_accuracy", "depth"]).equals(whole[["val_accuracy", "depth"]])
    assert list(store.frame("v_incumbent", "depths", ["spent"]).columns) == ["spent"]
    with pytest.raises(StoreError, match="v_depth has no column 'run_spent'; allowed: study, study_id, run"):
        store.frame("v_depth", columns=["run_spent"])
