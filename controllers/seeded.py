"""Any method, after some architectures that are known to be worth a try: a coarse slice of a grid, an earlier best.

The method is told about them like about its own, so a population begins with them and a model learns from them. A
method that starts its candidates at a low fidelity starts these there, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from controllers.controller import Controller, Recommending
from controllers.trial import Proposal, Trial
from search_spaces.architecture import Architecture


@runtime_checkable
class Starting(Protocol):
    """A method that says itself how a candidate starts."""

    def start(self, architecture: Architecture) -> Proposal:
        """The proposal of a new candidate."""


@dataclass(kw_only=True)
class Seeded:
    """Proposes `first`, then what `controller` proposes, which counts from 0 as if it had been alone."""

    controller: Controller
    first: Sequence[Architecture]

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        if number < len(self.first):
            architecture = self.first[number]
            if isinstance(self.controller, Starting):
                return self.controller.start(architecture)
            return Proposal(architecture=architecture)
        return self.controller.ask(number - len(self.first), pending)

    def tell(self, trial: Trial) -> None:
        self.controller.tell(trial)

    def recommend(self) -> int | None:
        return self.controller.recommend() if isinstance(self.controller, Recommending) else None


def without_seeds(controller: Controller) -> Controller:
    """The method itself."""
    return controller.controller if isinstance(controller, Seeded) else controller
