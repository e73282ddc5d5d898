"""Collects what happens in a study until the driver stores it."""

from __future__ import annotations

from nas.records import Record


class Log:
    """Records in the order of happening, and the numbering of finished trials."""

    def __init__(self, next_order: int = 0) -> None:
        self._next_order = next_order
        self._records: list[Record] = []

    def __len__(self) -> int:
        return len(self._records)

    def write(self, record: Record) -> None:
        """Add one record."""
        self._records.append(record)

    def next_order(self) -> int:
        """Position of the trial that finishes now."""
        order = self._next_order
        self._next_order += 1
        return order

    def drain(self) -> tuple[Record, ...]:
        """All records since the last call."""
        records = tuple(self._records)
        self._records.clear()
        return records
