"""The shape of the database: what the migrations make is what the models say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from nas.store import open_store, upgrade_store
from nas.store.database import DRIVERS
from nas.store.migrate import head
from search_spaces.errors import StoreError
from tests.nas.histories import plan, search


def execute(url: str, *statements: str) -> None:
    dialect, rest = url.split(":", 1)
    engine = create_engine(f"{DRIVERS[dialect]}:{rest}")
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_an_empty_database_gets_the_tables_and_views_of_the_models(store_url: str):
    with open_store(store_url) as store:
        assert store.check() == ()
        assert store.query("SELECT version_num FROM nas_version")["version_num"].tolist() == [head()]


def test_upgrading_from_nothing_and_again_changes_nothing_more(store_url: str, tmp_path):
    (tmp_path / "nas.db").touch()
    assert upgrade_store(store_url) == upgrade_store(store_url) == head()
    with open_store(store_url, create=False) as store:
        assert store.check() == ()


def test_opening_again_keeps_what_is_there(store_url: str):
    with open_store(store_url) as store:
        study_id = store.create_study("depths", {}, [plan()], {})
        store.record(study_id, search(0, 0, 0, 0.5, 1))
    upgrade_store(store_url)
    with open_store(store_url) as store:
        assert len(store.load("depths").finished) == 1


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("ALTER TABLE charges ADD COLUMN surprise INTEGER", "remove column charges surprise"),
        ("DROP TABLE events", "add table events"),
        ("DROP INDEX ix_charges_study_id_run_number", "add index ix_charges_study_id_run_number"),
        ("DROP VIEW v_depth", "missing view v_depth"),
    ],
)
def test_a_change_by_hand_is_found(store_url: str, change: str, difference: str):
    with open_store(store_url) as store:
        execute(store_url, change)
        assert difference in store.check()


def test_tables_of_others_are_no_difference(store_url: str):
    with open_store(store_url) as store:
        execute(store_url, "CREATE TABLE theirs (x INTEGER)", "CREATE TABLE alembic_version (version_num TEXT)")
        assert store.check() == ()


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_database_is_refused_and_left_alone(store_url: str, create: bool):
    open_store(store_url).close()
    execute(store_url, "UPDATE nas_version SET version_num = '9999'")
    message = f"revision 9999, .*its newest is {head()}: install the version"
    with pytest.raises(StoreError, match=message):
        open_store(store_url, create=create)
    with pytest.raises(StoreError, match=message):
        upgrade_store(store_url)


@pytest.mark.parametrize("create", [True, False])
def test_an_older_database_names_the_remedy(store_url: str, create: bool, monkeypatch: pytest.MonkeyPatch):
    open_store(store_url).close()
    monkeypatch.setattr("nas.store.migrate.head", lambda: "9999")
    with pytest.raises(StoreError, match=f"has revision {head()}, older than 9999, .*run `nas db upgrade`"):
        open_store(store_url, create=create)


def test_tables_of_another_program_are_not_touched(store_url: str):
    execute(store_url, "CREATE TABLE trials (trial_id INTEGER)")
    with pytest.raises(StoreError, match=r"tables of another program \(trials\)"):
        open_store(store_url)
    execute(store_url, "INSERT INTO trials (trial_id) VALUES (1)", "DROP TABLE trials")
    open_store(store_url).close()


def test_a_database_of_the_first_shape_keeps_all_that_it_held(tmp_path):
    """The dump was written by the version that had that shape: one run, two finished trials, one reported epoch."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "databases" / "0001.sql").read_text())
    url = f"sqlite:///{path}"
    with pytest.raises(StoreError, match="has revision 0001, older than"):
        open_store(url)
    upgrade_store(url)
    with open_store(url) as store:
        assert store.check() == ()
        trials = store.frame("trials")
        assert trials["val_accuracy"].tolist() == [0.5, 0.7]
        assert trials["run_spent"].tolist() == [10, 30]
        assert trials["started_us"].isna().all()
        assert store.frame("depth_profiles")["weight"].tolist() == [0.25, 0.75]
        assert [one.trial.score for one in store.load("depths").finished] == [0.5, 0.7]
        store.record(1, search(0, 2, 2, 0.9, 5))
        assert store.frame("v_incumbent")["best_val_accuracy"].tolist() == [0.5, 0.7, 0.9]
