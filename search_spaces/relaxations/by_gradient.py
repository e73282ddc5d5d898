"""Which data moves an architecture that is learned by gradient, and what the recipe for that has to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Level = Literal["train", "validation"]


def recipe_of(level: Level) -> str:
    """One step with the weights on training data, or in turns with them on validation data."""
    return "joint" if level == "train" else "bilevel"


def recipe_options_of(level: Level, *, learning_rate: float | None, warmup_epochs: int) -> Mapping[str, Any]:
    """Keyword arguments of that recipe, which has no weight decay on the architecture: it would be a preference."""
    options = {"architecture_learning_rate": learning_rate, "warmup_epochs": warmup_epochs}
    return options if level == "train" else {**options, "architecture_weight_decay": 0.0}
