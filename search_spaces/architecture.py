"""One point of a search space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Option = bool | int | float | str
"""What a decision may be answered with: any JSON scalar."""

ID_CHARACTERS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Architecture:
    """What network it is (`form`) and how the space was asked for it (`decisions`).

    Two architectures are equal when their forms are: decisions that lead to the same network lead to
    the same id.
    """

    depth: int
    """Number of levels above the stem that the network really has."""
    form: Mapping[str, Any]
    """The network, in JSON types, as `build` needs it and nothing besides."""
    decisions: Mapping[str, Option] = field(default_factory=dict)
    """Answers in the order in which `compose` asked."""

    @cached_property
    def id(self) -> str:
        """Hash of the canonical JSON of the form, the same on every machine."""
        return hashlib.sha256(canonical_json(self.form).encode()).hexdigest()[:ID_CHARACTERS]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
