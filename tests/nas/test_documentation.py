"""The documents that are written from the code are up to date, and what they say runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_study_reference_is_what_the_code_says() -> None:
    script = ROOT / "docs" / "write_study_reference.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
