"""A statistic and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 0.95
"""Of every interval; 1 - LEVEL is the level of every test."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A statistic and its 95 % interval."""

    value: float
    low: float | None = None
    """None, as is `high`, where some task has but one number."""
    high: float | None = None
