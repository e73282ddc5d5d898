"""The answers of studies that were written down by hand."""

from __future__ import annotations

import pytest

from nas.depth.study import depth_study
from nas.store import open_store
from tests.nas.depth.stored import store_runs


@pytest.fixture
def answered(tmp_path):
    """From runs, by way of the store, to their `DepthStudy`."""

    def answer(runs, **spec):
        with open_store(f"sqlite:///{tmp_path / 'nas.db'}") as store:
            store_runs(store, "hand", runs, **spec)
            (stored,) = store.frame("studies", "hand", ["spec"])["spec"]
            return depth_study(
                stored, store.frame("runs", "hand"), store.frame("trials", "hand"), store.frame("v_depth", "hand")
            )

    return answer
