"""An environment of its own for every peer, so that none of their requirements meet the project's or each other's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-peers"

REQUIREMENTS = {
    "optuna": ("optuna==5.0.0", "scipy==1.17.1", "torch==2.13.0", "numpy==2.4.6"),
    "nni": ("nni==3.0", "numpy==2.4.6", "scipy==1.17.1", "pandas==3.1.1", "scikit-learn==1.9.1", "setuptools==65.5.0"),
    "syne_tune": (
        "syne-tune==0.16.0",
        "huggingface_hub==2.4.0",  # its simulator imports this, though it is an extra
        "numpy==2.4.6",
        "pandas==3.1.1",
        "scikit-learn==1.9.1",
        "xgboost==3.2.0",
    ),
    "plot": ("matplotlib==3.11.2",),
}
"""By environment. The first is the peer itself; scipy and torch are for Optuna's GP."""

failed: list[str] = []
"""Environments that could not be made. They are not tried again."""


def version(name: str) -> str:
    """Package and version, as in `optuna 5.0.0`."""
    return REQUIREMENTS[name][0].replace("==", " ")


def interpreter(name: str) -> Path | None:
    """The Python of this environment, made anew if it has other requirements; None if they cannot be installed."""
    if name in failed:
        return None
    folder, wanted = FOLDER / name, "\n".join(REQUIREMENTS[name])
    python, installed = folder / "bin" / "python", folder / "installed"
    if installed.exists() and installed.read_text() == wanted:
        return python
    print(f"installing {', '.join(REQUIREMENTS[name])} into {folder}", file=sys.stderr)
    pip = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            failed.append(name)
            return None
    installed.write_text(wanted)
    return python
