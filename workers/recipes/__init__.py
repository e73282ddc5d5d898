"""Training procedures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from search_spaces.registry import resolve
from workers.recipes.bilevel import Bilevel
from workers.recipes.joint import Joint
from workers.recipes.recipe import Phase, Recipe
from workers.recipes.standard import Standard
from workers.training import Training

__all__ = ["RECIPES", "Phase", "Recipe", "make_recipe"]

RECIPES: dict[str, Callable[..., Recipe]] = {
    "bilevel": Bilevel,
    "joint": Joint,
    "standard": Standard,
}
"""Recipes by name. Adding one is one file and one line here."""


def make_recipe(
    name: str, network: nn.Module, options: Mapping[str, Any], *, training: Training, num_steps: int
) -> Recipe:
    """The recipe called `name`, bound to `network`."""
    return resolve(name, RECIPES, what="recipe")(network, training=training, num_steps=num_steps, **options)
