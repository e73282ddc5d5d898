"""One store per dialect: SQLite in a file, PostgreSQL on a server of its own that listens on a socket only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from nas.store import Store, open_store

SQLITE = "sqlite"
POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.slow)


@pytest.fixture(scope="session")
def postgresql_socket() -> Iterator[Path]:
    """The directory of the socket of a fresh server."""
    missing = [tool for tool in ("initdb", "pg_ctl") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"PostgreSQL is not installed: no {' and no '.join(missing)} on PATH")
    directory = Path(tempfile.mkdtemp(prefix="nas-postgresql-", dir="/tmp"))  # a socket's path must be short
    owner = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        owner = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(directory, "postgres")
    data = directory / "data"

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, **owner)

    try:
        run("initdb", "-D", data, "-U", "nas", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        settings = f"-k {directory} -c listen_addresses='' -c fsync=off -c max_connections=20"
        run("pg_ctl", "-D", data, "-l", directory / "log", "-o", settings, "-w", "start")
        try:
            yield directory
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(directory)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == SQLITE:
        return f"sqlite:///{tmp_path / 'nas.db'}"
    socket = request.getfixturevalue("postgresql_socket")
    schema = f"schema_{uuid4().hex}"
    with psycopg.connect(host=str(socket), user="nas", dbname="postgres") as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"postgresql://nas@/postgres?host={socket}&options=-csearch_path%3D{schema}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened
