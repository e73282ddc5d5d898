"""What every method of search is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from controllers.trial import Proposal, Trial


class Controller(Protocol):
    """Proposes what to try next, and learns from what came of it.

    A controller is a pure function of its hyperparameters, its space, its seed and the order of the trials it
    was told: that is what makes a run replayable from the database. Therefore

    - `ask` never changes the controller: all randomness is `np.random.default_rng((seed, number))`;
    - `tell` is the only method that changes it;
    - no state lives outside, and none is pickled.

    Hyperparameters are keyword fields of a frozen-in-spirit dataclass with the paper's defaults; `space` and
    `seed` are fields like the others, filled in by the service, and so is `trial_epochs`, the epochs of one ordinary
    trial of the study, where a controller has such a field.
    """

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        """The proposal for trial `number` of the run, or None to wait for a tell.

        Args:
            number: how many trials the run has started so far.
            pending: trials asked for and not yet told, in the order of their numbers.

        Raises:
            SearchExhausted: nothing is left to propose.
        """

    def tell(self, trial: Trial) -> None:
        """Learn from a COMPLETE, PRUNED or FAILED trial. Trials may arrive in any order."""


@runtime_checkable
class Recommending(Protocol):
    """A controller that also says which of its networks the run should deliver; otherwise the best score decides."""

    def recommend(self) -> int | None:
        """Number of a COMPLETE trial that was told, or None for the one with the best score. Changes nothing."""
