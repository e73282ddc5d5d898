"""One-shot search: train a supernet on part of the budget, then the architectures that it points to on the rest.

Every relaxation becomes a method through this controller. Unlike the papers', the derived architectures are trained
from scratch inside the same budget and compared by their own validation accuracy, best guess first, so a supernet that
ranks badly can still be saved by what is left of the budget, and pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.supernets import whole_supernet
from controllers.trial import AS_LONG_AS_PAID, Kind, Proposal, Trial
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.inheritance import Inheritance
from search_spaces.registry import resolve
from search_spaces.relaxations import RELAXATIONS
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG, dump, read

OWN_FIELDS = ("deliver", "search_share", "derive_top", "derived_start", "derived_epochs")
"""Fields that every relaxation has beside its own."""


@dataclass(kw_only=True, config=CONFIG)
class OneShot:
    """Trial 0 is the supernet, trial n its n-th best architecture."""

    space: SearchSpace = Field(repr=False)
    seed: int
    relaxation: str
    """Name in `RELAXATIONS`."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of the relaxation."""
    search_share: float = Field(default=0.3, gt=0, lt=1)
    """Part of the run's budget that the supernet is trained for, unless it is itself delivered."""
    deliver: Literal["derived", "supernet"] = "derived"
    """What the run delivers: one of the architectures that the supernet points to, or the supernet as it is, which then
    has the whole budget. A mixture of depths is as costly as the deepest of them."""
    derive_top: int | None = Field(default=None, ge=1)
    """How many of the derived architectures to train; none: all, for as long as the budget pays."""
    derived_start: Literal["scratch", "supernet"] = "scratch"
    """Weights that a derived architecture starts from. Not every supernet has such to give."""
    derived_epochs: Literal["ordinary", "all"] = "ordinary"
    """How long a derived architecture is trained: as long as any trial, or the first for all that is left."""

    def __post_init__(self) -> None:
        relaxation = read(resolve(self.relaxation, RELAXATIONS, what="relaxation"), self.options, beside=OWN_FIELDS)
        relaxation.check(self.space)
        if self.derived_start == "supernet" and not getattr(relaxation, "inheritable", False):
            raise InvalidInput(
                f"{self.relaxation} has no weights that another network could start from", field="derived_start"
            )
        self._supernet = whole_supernet(
            {"name": self.relaxation, **dump(relaxation)},
            budget_share=self.search_share if self.deliver == "derived" else None,
            deliverable=self.deliver == "supernet",
            keep=self.derived_start == "supernet",
        )
        self._trained: Trial | None = None

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        if number == 0:
            return self._supernet
        if self._trained is None:
            return None
        if self._trained.measurement is None:
            raise SearchExhausted(f"the supernet failed: {self._trained.reason}")
        if self.deliver == "supernet":
            raise SearchExhausted("the supernet is trained")
        derived = self._trained.measurement.derived[: self.derive_top]
        if number > len(derived):
            raise SearchExhausted(f"all {len(derived)} derived architectures are trained")
        return self._derived(derived[number - 1])

    def _derived(self, architecture: Architecture) -> Proposal:
        return Proposal(
            architecture=architecture,
            epochs=AS_LONG_AS_PAID if self.derived_epochs == "all" else None,
            min_epochs=1,
            parent=0 if self.derived_start == "supernet" else None,
            inherits=dump(Inheritance.prefix(architecture.depth)) if self.derived_start == "supernet" else {},
        )

    def tell(self, trial: Trial) -> None:
        if trial.proposal.kind is Kind.RELAXATION:
            self._trained = trial


def one_shot_options(relaxation: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `OneShot` that the flat options of the method called `relaxation` mean."""
    own = {name: value for name, value in options.items() if name in OWN_FIELDS}
    rest = {name: value for name, value in options.items() if name not in own}
    return {**own, "relaxation": relaxation, "options": rest}
