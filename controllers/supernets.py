"""From a relaxation as a file names it to the trial that trains its supernet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.trial import Kind, Proposal
from search_spaces.relaxations import make_relaxation


def supernet_proposal(options: Mapping[str, Any], *, epochs: int | None = None) -> Proposal:
    """The proposal to train the supernet of `{name: NAME, **fields}` with the recipe that it needs.

    Raises:
        InvalidInput: unknown relaxation or field, or a value out of its range.
    """
    relaxation = make_relaxation(options)
    return Proposal(
        kind=Kind.RELAXATION,
        relaxation=options,
        recipe=relaxation.recipe,
        recipe_options=relaxation.recipe_options(),
        epochs=epochs,
    )
