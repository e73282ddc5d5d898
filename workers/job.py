"""What a worker is asked to do, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controllers.cost import Charge
from controllers.trial import Measurement, Proposal
from workers.training import Training


@dataclass(frozen=True, kw_only=True)
class Job:
    """One trial, complete: everything that its result depends on."""

    proposal: Proposal
    space: Mapping[str, Any]
    task: Mapping[str, Any]
    training: Training
    epochs: int
    """Those of a resumed parent included."""
    seed: int
    max_flops: int | None = None
    """The grant: a step that would exceed it is not run, and the trial fails, since its price was wrong."""
    max_device_us: int | None = None
    """The grant in device time: training ends before an epoch that would probably exceed it."""
    time_limit_s: float | None = None
    """A trial still running after this is broken."""
    folder: Path | None = None
    """Where the trial keeps its files: see `workers.flight`. None: nowhere."""
    parent_folder: Path | None = None
    """Folder of the trial that this one starts from: from its weights, or from its checkpoint if the proposal resumes
    it. For a FINAL trial, of the delivered model."""
    checkpoint_s: float = 60.0
    """Least time between checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A network that broke. Its compute is charged like any other."""

    reason: str
    charges: tuple[Charge, ...] = field(default=())
    epochs: int = 0


Outcome = Measurement | Failure
