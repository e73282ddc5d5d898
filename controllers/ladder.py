"""The rungs of a search by fidelity: all candidates start on the lowest, and the best of every rung go on to the next.

Whoever goes on is not trained anew: it continues from its checkpoint, under one learning-rate schedule that spans the
highest rung. So a network's score on a rung is that of its unfinished long training, as in the papers, and the trials
of one candidate cost together what training it to its highest rung at once would.
"""

from __future__ import annotations

from dataclasses import dataclass

from controllers.trial import Proposal, Status, Trial
from search_spaces.architecture import Architecture
from search_spaces.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Proposals for each rung, and the rung of each trial."""

    epochs: tuple[int, ...]
    """Epochs that a network on each rung has been trained for, ascending."""

    @property
    def top(self) -> int:
        """Index of the highest rung."""
        return len(self.epochs) - 1

    def rung(self, trial: Trial) -> int:
        """Index of the trial's rung. What it was proposed for counts, also if time let it train for less."""
        assert trial.proposal.epochs is not None
        return self.epochs.index(trial.proposal.epochs)

    def start(self, architecture: Architecture) -> Proposal:
        """A new candidate."""
        return Proposal(
            architecture=architecture, epochs=self.epochs[0], schedule_epochs=self.epochs[-1], prunable=False
        )

    def promote(self, trial: Trial) -> Proposal:
        """The same network, trained on to the next rung."""
        return go_on(trial, epochs=self.epochs[self.rung(trial) + 1], schedule_epochs=self.epochs[-1])


def make_ladder(*, min_epochs: int, max_epochs: int, reduction_factor: int) -> Ladder:
    """Rungs at `max_epochs // reduction_factor**k`, down to the last that has `min_epochs`.

    Raises:
        InvalidInput: there is none.
    """
    if min_epochs > max_epochs:
        raise InvalidInput(f"must be at most max_epochs, {max_epochs}, got {min_epochs}", field="min_epochs")
    epochs = [max_epochs]
    while epochs[-1] // reduction_factor >= min_epochs:
        epochs.append(epochs[-1] // reduction_factor)
    return Ladder(epochs=tuple(reversed(epochs)))


def go_on(trial: Trial, *, epochs: int, schedule_epochs: int) -> Proposal:
    """The same training from where a trial stopped, up to `epochs` of a schedule that reaches that far."""
    assert trial.measurement is not None
    return Proposal(
        architecture=trial.architecture,
        epochs=epochs,
        parent=trial.number,
        resumed_epochs=trial.measurement.epochs,
        schedule_epochs=schedule_epochs,
        prunable=False,
    )


def may_go_on(trial: Trial) -> bool:
    """Whether the trial ended with a score and a checkpoint."""
    return trial.status is Status.COMPLETE and trial.score is not None


def rank(trial: Trial) -> tuple[float, int]:
    """Sorts trials with a score: the best first, the earlier of equals first."""
    assert trial.score is not None
    return -trial.score, trial.number
