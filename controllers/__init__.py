"""Floor 2: what to try next. The trial values and every method that proposes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.controller import Controller
from controllers.fixed import Fixed
from controllers.random import Random
from search_spaces.registry import resolve
from search_spaces.space import SearchSpace
from search_spaces.values import load

__all__ = ["CONTROLLERS", "Controller", "make_controller"]

CONTROLLERS: dict[str, type[Controller]] = {
    "fixed": Fixed,
    "random": Random,
}
"""Methods by the name that a study file uses. Adding one is one file and one line here."""


def make_controller(method: str, options: Mapping[str, Any], *, space: SearchSpace, seed: int) -> Controller:
    """The controller called `method` with these hyperparameters.

    Raises:
        InvalidInput: unknown method or hyperparameter, or a value out of its range.
    """
    controller = resolve(method, CONTROLLERS, what="method")
    return load(controller, {**options, "space": space, "seed": seed})
