"""What can go wrong with a database, and the one line that says so."""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event

from nas.store import Store, open_store, upgrade_store
from search_spaces.errors import StoreError
from tests.nas.conftest import POSTGRESQL, SQLITE
from tests.nas.histories import plan, search

only_sqlite = pytest.mark.parametrize("store_url", [SQLITE], indirect=True)
only_postgresql = pytest.mark.parametrize("store_url", [POSTGRESQL], indirect=True)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nas.db", "must be a URL such as sqlite:///nas.db or postgresql://"),
        ("", "must be a URL such as"),
        ("postgresql://user:secret@host:port/database", "must be a URL such as"),
        ("mysql://user:secret@host/database", "must be sqlite or postgresql, got 'mysql'"),
        ("postgresql+asyncpg://user:secret@host/database", r"must be sqlite or postgresql, got 'postgresql\+asyncpg'"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite:///file:nas.db?mode=ro&uri=true", "must be a file"),
        ("sqlite:////no/such/directory/nas.db", "no directory /no/such/directory"),
        ("sqlite:////", "must be a file"),
        ("sqlite:////tmp", "is a directory"),
    ],
)
def test_a_url_that_names_no_database_is_refused(url: str, message: str):
    with pytest.raises(StoreError, match=message) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_answer_is_an_error_without_the_password():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        port = unused.getsockname()[1]
        with pytest.raises(StoreError, match=rf"cannot open postgresql.*127.0.0.1:{port}.*refused") as caught:
            open_store(f"postgresql://user:secret@127.0.0.1:{port}/nas")
    assert "secret" not in str(caught.value)


@only_postgresql
def test_a_database_that_the_server_does_not_have_is_an_error(store_url: str):
    with pytest.raises(StoreError, match='database "nothing" does not exist'):
        open_store(store_url.replace("@/postgres", "@/nothing"))


@only_sqlite
def test_a_missing_file_is_only_created_when_asked(store_url: str, tmp_path: Path):
    with pytest.raises(StoreError, match=r"there is no database .*nas\.db"):
        open_store(store_url, create=False)
    with pytest.raises(StoreError, match=r"there is no database .*nas\.db"):
        upgrade_store(store_url)
    assert list(tmp_path.iterdir()) == []


@only_sqlite
def test_a_file_that_is_no_database_is_refused_and_left_alone(store_url: str, tmp_path: Path):
    file = tmp_path / "nas.db"
    file.write_text("name: depths\n" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        open_store(store_url)
    assert file.read_text() == "name: depths\n" * 100


def test_an_empty_database_holds_no_results(store_url: str, tmp_path: Path):
    (tmp_path / "nas.db").touch()
    with pytest.raises(StoreError, match="holds no results"):
        open_store(store_url, create=False)


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A directory that everybody may look into, entered as a user who may write nothing."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        yield directory
        if is_root:
            os.seteuid(0)
        directory.chmod(0o755)


def forbid_writing(directory: Path) -> None:
    for file in directory.iterdir():
        file.chmod(0o444)
    directory.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_a_directory_that_cannot_be_written_is_an_error(as_nobody: Path):
    forbid_writing(as_nobody)
    with pytest.raises(StoreError, match="unable to open database file"):
        open_store(f"sqlite:///{as_nobody / 'nas.db'}")


def test_a_file_that_cannot_be_written_is_an_error(as_nobody: Path):
    url = f"sqlite:///{as_nobody / 'nas.db'}"
    open_store(url).close()
    forbid_writing(as_nobody)
    with pytest.raises(
        StoreError, match=r"cannot open .*nas\.db: (attempt to write a readonly|unable to open) database"
    ):
        open_store(url)


@only_sqlite
def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(store: Store, tmp_path: Path):
    study_id = store.create_study("depths", {}, [plan()], {})
    store.record(study_id, search(0, 0, 0, 0.5, 1))
    before = store.load(study_id)
    store.close()

    def leave_no_room(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", leave_no_room)
    try:
        with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as full:
            with pytest.raises(StoreError, match=r"cannot record results of study 1 in .*: database or disk is full"):
                full.record(study_id, [one for number in range(1, 99) for one in search(0, number, number, 0.5, 1)])
            assert full.load(study_id) == before
    finally:
        event.remove(Engine, "connect", leave_no_room)


@only_postgresql
def test_a_connection_that_is_lost_between_writes_is_replaced(store: Store, postgresql_socket: Path):
    study_id = store.create_study("depths", {}, [plan()], {})
    cut_connections(postgresql_socket)
    store.record(study_id, search(0, 0, 0, 0.5, 1))
    assert len(store.load(study_id).finished) == 1


@only_postgresql
def test_a_connection_that_is_lost_amid_a_write_is_an_error_and_leaves_nothing(store: Store, postgresql_socket: Path):
    study_id = store.create_study("depths", {}, [plan()], {})

    def records() -> Iterator[object]:
        first, second = search(0, 0, 0, 0.5, 1)
        yield first
        cut_connections(postgresql_socket)
        yield second

    with pytest.raises(StoreError, match=r"cannot record results of study 1 in .*: terminating connection"):
        store.record(study_id, records())
    assert store.load(study_id).runs[0].trials == ()


def cut_connections(directory: Path) -> None:
    with psycopg.connect(host=str(directory), user="nas", dbname="postgres") as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
