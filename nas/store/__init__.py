"""The results database. Only this package knows SQL."""

from __future__ import annotations

from nas.store.store import Store, open_store, upgrade_store

__all__ = ["Store", "open_store", "upgrade_store"]
