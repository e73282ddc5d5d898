"""No search: one given architecture gets the whole budget as longer training.

The control that a practitioner would try first. Without it, anything that trains one network longer than the
grid trains each of its points seems to win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.trial import AS_LONG_AS_PAID, Proposal, Trial
from search_spaces.architecture import Architecture, Option
from search_spaces.compose import answer
from search_spaces.errors import InvalidArchitecture, InvalidInput, SearchExhausted
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class Fixed:
    """One architecture, trained for as long as the budget pays."""

    space: SearchSpace = Field(repr=False)
    seed: int
    architecture: Mapping[str, Option]
    """Decisions by name; those not named take their first option."""

    def __post_init__(self) -> None:
        try:
            self._architecture = answer(self.space, self.architecture, partial=True)
        except InvalidArchitecture as error:
            raise InvalidInput(str(error), field="architecture") from None

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        if number > 0:
            raise SearchExhausted("the one architecture is trained")
        return as_long_as_paid(self._architecture)

    def tell(self, trial: Trial) -> None:
        pass


def as_long_as_paid(architecture: Architecture) -> Proposal:
    """One network, trained from fresh weights for as long as the budget pays."""
    return Proposal(architecture=architecture, epochs=AS_LONG_AS_PAID, min_epochs=1, prunable=False)
