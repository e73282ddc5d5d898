"""Any method, after some architectures that are known to be worth a try: a coarse slice of a grid, an earlier best.

The method is told about them like about its own, so a population begins with them and a model learns from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controllers.controller import Controller
from controllers.trial import Proposal, Trial
from search_spaces.architecture import Architecture


@dataclass(kw_only=True)
class Seeded:
    """Proposes `first`, then what `controller` proposes, which counts from 0 as if it had been alone."""

    controller: Controller
    first: Sequence[Architecture]

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        if number < len(self.first):
            return Proposal(architecture=self.first[number])
        return self.controller.ask(number - len(self.first), pending)

    def tell(self, trial: Trial) -> None:
        self.controller.tell(trial)


def without_seeds(controller: Controller) -> Controller:
    """The method itself."""
    return controller.controller if isinstance(controller, Seeded) else controller
