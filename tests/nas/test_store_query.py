"""SQL from outside reads everything and changes nothing."""

from __future__ import annotations

import pytest

from nas.store import Store
from search_spaces.errors import StoreError
from tests.nas.conftest import POSTGRESQL
from tests.nas.histories import HUGE, plan, search

WRITES = [
    "INSERT INTO architectures (id, depth, form) VALUES ('x', 1, '{}')",
    "INSERT INTO architectures (id, depth, form) VALUES ('x', 1, '{}') RETURNING id",
    "WITH gone AS (DELETE FROM charges RETURNING *) SELECT * FROM gone",
    "UPDATE studies SET name = 'x'",
    "DELETE FROM charges",
    "DROP TABLE charges",
    "DROP VIEW v_compare",
    "CREATE TABLE x (y INTEGER)",
    "CREATE TEMPORARY TABLE x (y INTEGER)",
    "CREATE TABLE x AS SELECT 1 AS y",
    "ALTER TABLE charges RENAME TO lines",
    "SELECT 1 AS y INTO x",
]
MANY = [
    "SELECT 1; DELETE FROM charges",
    "SELECT 1; COMMIT; DELETE FROM charges",
    "DELETE FROM charges; SELECT 1",
    "COMMIT",
    "BEGIN",
]
OTHER = [
    "ATTACH DATABASE 'other.db' AS other",
    "DETACH DATABASE main",
    "PRAGMA query_only = OFF",
    "PRAGMA user_version = 7",
    "PRAGMA journal_mode = DELETE",
    "VACUUM INTO 'copy.db'",
    "REINDEX",
    "SET TRANSACTION READ WRITE",
    "COPY charges TO PROGRAM 'cat'",
    "SELECT load_extension('x')",
    "SELEC 1",
    "SELECT nothing FROM charges",
    "",
    "-- nothing",
]


@pytest.fixture
def filled(store: Store) -> Store:
    study_id = store.create_study("depths", {}, [plan()], {})
    store.record(study_id, [*search(0, 0, 0, 0.5, HUGE), *search(0, 1, 1, None, 1)])
    return store


@pytest.mark.parametrize("sql", [*WRITES, *MANY, *OTHER])
def test_anything_but_one_select_is_refused_and_changes_nothing(filled: Store, sql: str):
    before = filled.load("depths")
    with pytest.raises(StoreError, match="the query must be one SELECT"):
        filled.query(sql)
    assert filled.load("depths") == before
    assert filled.check() == ()
    filled.record(before.id, search(0, 2, 2, 0.5, 1))  # and the store still works


@pytest.mark.parametrize("store_url", [POSTGRESQL], indirect=True)
def test_what_a_function_does_on_the_side_is_undone(filled: Store):
    filled.query("SELECT lo_create(4711)")  # which some versions of the server allow in a read-only transaction
    assert filled.query("SELECT oid FROM pg_largeobject_metadata WHERE oid = 4711").empty


def test_whole_numbers_are_exact_beside_nulls(filled: Store):
    frame = filled.query("SELECT number, NULLIF(flops, 1) AS flops FROM charges ORDER BY number;")
    assert frame["flops"].dtype == "Int64"
    assert frame["flops"][0] == HUGE
    assert frame["flops"].isna().tolist() == [False, True]


def test_sums_of_whole_numbers_are_whole(filled: Store):
    assert filled.query("SELECT SUM(flops) AS flops FROM charges")["flops"].tolist() == [HUGE + 1]


def test_fractions_and_text_have_their_types(filled: Store):
    frame = filled.query("SELECT status, val_accuracy, number * 0.5 AS half FROM trials ORDER BY number -- all")
    assert frame["status"].tolist() == ["complete", "failed"]
    assert frame["val_accuracy"].dtype == frame["half"].dtype == "float64"
    assert frame["half"].tolist() == [0.0, 0.5]


def test_an_empty_answer_has_its_columns(filled: Store):
    frame = filled.query("SELECT run, number FROM trials WHERE number > 5")
    assert list(frame.columns) == ["run", "number"]
    assert frame.empty


def test_columns_may_share_a_name_and_text_may_hold_any_sign(filled: Store):
    frame = filled.query("WITH t AS (SELECT 1 AS x) SELECT x, 'a%s:b;c?' AS x FROM t WHERE 'ab' LIKE 'a%'")
    assert list(frame.columns) == ["x", "x"]
    assert frame.values.tolist() == [[1, "a%s:b;c?"]]


def test_the_views_can_be_queried(filled: Store):
    frame = filled.query("SELECT label, best_val_accuracy FROM v_incumbent ORDER BY finish_order")
    assert frame.values.tolist() == [["random", 0.5], ["random", 0.5]]
