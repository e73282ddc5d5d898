"""Floor 4: the service. Study spec, ledger, runner, results store, comparison and command line.

In a notebook:

    from pathlib import Path
    from nas import compare, open_store, read_spec, run_study

    with open_store("sqlite:///nas.db") as store:
        name = run_study(read_spec(Path("study.yaml")), store)
        runs = store.frame("v_compare", name)
        epochs = store.frame("epochs", name)
    compare(runs).frame()

Everything is imported when it is first asked for: whoever reads results does not wait for torch and Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.comparison import compare
    from nas.plan import Plan
    from nas.service import resume_study, run_study, simulate_study
    from nas.spec import StudySpec, parse_spec
    from nas.store import Store, open_store
    from nas.study_file import read_spec

__all__ = [
    "Plan",
    "Store",
    "StudySpec",
    "compare",
    "open_store",
    "parse_spec",
    "read_spec",
    "resume_study",
    "run_study",
    "simulate_study",
]

HOMES = {
    "Plan": "nas.plan",
    "Store": "nas.store",
    "StudySpec": "nas.spec",
    "compare": "nas.comparison",
    "open_store": "nas.store",
    "parse_spec": "nas.spec",
    "read_spec": "nas.study_file",
    "resume_study": "nas.service",
    "run_study": "nas.service",
    "simulate_study": "nas.service",
}
"""Where the public names live."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
