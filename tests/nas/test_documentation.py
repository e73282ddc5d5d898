"""The documents that are written from the code are up to date, and what they say runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli import main
from nas.plan import Plan
from nas.store import open_store
from nas.study_file import read_spec
from search_spaces.mapping import TableMapping
from search_spaces.values import read
from search_spaces.yaml_text import read_yaml
from tests.nas.depth.by_hand import RUNS
from tests.nas.depth.stored import store_runs

ROOT = Path(__file__).parents[2]


def test_the_study_reference_is_what_the_code_says() -> None:
    script = ROOT / "docs" / "write_study_reference.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
NEED_DATA = {"small-images.yaml", "text.yaml", "your-data.yaml"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_can_be_read_and_planned(path: Path) -> None:
    spec = read_spec(path)
    if path.name not in NEED_DATA:
        plan = Plan(spec)
        assert len(plan.runs) == len(spec.methods) * len(spec.seeds)


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "tables").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_of_a_table_can_be_read(path: Path) -> None:
    if path.stem.endswith("study"):
        assert read_spec(path).is_tabular
    else:
        assert read(TableMapping, read_yaml(path)).decisions


DEPTH = (ROOT / "docs" / "depth.md").read_text(encoding="utf-8")
BLOCKS = [block.splitlines()[1:] for block in DEPTH.split("```")[1::2]]
COMMANDS = [shlex.split(line, comments=True)[1:] for block in BLOCKS for line in block if line.startswith("nas ")]


@pytest.fixture
def depth_studies(tmp_path, monkeypatch):
    """The studies that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_DB", "sqlite:///nas.db")
    with open_store("sqlite:///nas.db") as store:
        for name in ("demo", "another-study", "by-hand"):
            store_runs(store, name, RUNS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_about_depth_runs(depth_studies, command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(command)
    assert exit_.value.code == 0
    assert capsys.readouterr().out


def test_the_example_of_depth_is_what_the_command_prints(depth_studies, capsys):
    (example,) = (block for block in BLOCKS if block[0].startswith("$ "))
    with pytest.raises(SystemExit):
        main(example[0].split()[2:])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == example[1:]
