"""From a relaxation as a file names it to the trial that trains its supernet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controllers.trial import AS_LONG_AS_PAID, Kind, Proposal
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


def whole_supernet(options: Mapping[str, Any], **fields: Any) -> Proposal:
    """The same as a step of a method: no scheduler stops it, and it may be delivered, as long as that is paid for.

    Args:
        options: as above.
        fields: of the proposal, beside these or in their place.
    """
    step = {"epochs": AS_LONG_AS_PAID, "min_epochs": 1, "deliverable": True, "prunable": False}
    return replace(supernet_proposal(options), **{**step, **fields})
