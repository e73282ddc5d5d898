"""The files of one trial: what survives when its worker does not.

    progress.json    charges up to the last finished epoch: what a dead worker has cost
    kept.json        charges up to the last checkpoint: what the next attempt does not spend again
    hung.json        written by the watchdog just before it ends a worker that passed its time limit
    checkpoint.pt    everything needed to go on from an epoch: after a death, or as another trial that trains further
    weights.pt       the trained network

All writes are atomic: a file is either the old one or the new one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from controllers.cost import Charge
from search_spaces.values import dump, load

PROGRESS = "progress.json"
KEPT = "kept.json"
HUNG = "hung.json"
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"


def write_charges(path: Path, charges: tuple[Charge, ...]) -> None:
    """Record what the trial has cost so far."""
    _replace(path, json.dumps([dump(charge) for charge in charges]).encode())


def read_charges(path: Path) -> tuple[Charge, ...]:
    """Inverse of `write_charges`; empty if nothing was ever written."""
    return tuple(load(Charge, item) for item in json.loads(path.read_bytes())) if path.exists() else ()


def write_hung(folder: Path, reason: str) -> None:
    """Leave word that the watchdog ended the worker."""
    _replace(folder / HUNG, json.dumps(reason).encode())


def read_hung(folder: Path) -> str | None:
    """Why the watchdog ended the worker; None if it did not."""
    path = folder / HUNG
    return json.loads(path.read_bytes()) if path.exists() else None


def save_tensors(path: Path, state: Mapping[str, Any]) -> None:
    """Write a nested state of tensors and plain values.

    Raises:
        OSError: the disk is full, or gone. Torch's own writer would hide that behind a RuntimeError.
    """
    content = BytesIO()
    torch.save(dict(state), content)
    _replace(path, content.getbuffer())


def load_tensors(path: Path, device: torch.device) -> dict[str, Any]:
    """Read what `save_tensors` wrote, without running any code from the file.

    Raises:
        OSError: the file cannot be read. Torch's own reader would raise that for a damaged one, too.
    """
    content = BytesIO(path.read_bytes())
    state: dict[str, Any] = torch.load(content, map_location=device, weights_only=True)
    return state


def _replace(path: Path, content: bytes | memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
