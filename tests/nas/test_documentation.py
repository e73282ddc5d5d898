"""The documents that are written from the code are up to date, and what they say runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nas.plan import Plan
from nas.study_file import read_spec
from search_spaces.mapping import TableMapping
from search_spaces.values import read
from search_spaces.yaml_text import read_yaml

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
