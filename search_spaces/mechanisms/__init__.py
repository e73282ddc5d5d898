"""The registry of mechanisms by which the depth of a chain depends on its input."""

from __future__ import annotations

from search_spaces.mechanisms.exits import Exits
from search_spaces.mechanisms.gates import Gates
from search_spaces.mechanisms.mechanism import Mechanism
from search_spaces.mechanisms.policy import Policy

__all__ = ["MECHANISMS", "Mechanism"]

MECHANISMS: dict[str, type[Mechanism]] = {"exits": Exits, "gates": Gates, "policy": Policy}
"""By the name that a study file uses. Adding one is one file, one line here, and the field of this name in
`search_spaces.dynamic_space`, which holds its options."""
