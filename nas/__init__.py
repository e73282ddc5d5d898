"""Floor 4: the service. Study spec, ledger, runner, results store, comparison and command line."""

from __future__ import annotations

from nas.plan import Plan
from nas.service import resume, run
from nas.spec import StudySpec, parse_spec, read_spec
from nas.store import Store, open_store

__all__ = ["Plan", "Store", "StudySpec", "open_store", "parse_spec", "read_spec", "resume", "run"]
