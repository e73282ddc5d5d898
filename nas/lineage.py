"""Trials that go on from trials: whose checkpoint, whose seed, and whether there is anything to go on from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controllers.trial import Proposal, Status, Trial
from search_spaces.architecture import canonical_json
from search_spaces.errors import TrialFailed


class Lineage:
    """Knows of the trials of one run which of them share one training.

    A trial answered from an earlier one has no files of its own, and a trial that goes on from it goes on from the
    earlier one, which it cannot know: the controller saw two.
    """

    def __init__(self, trials: Mapping[int, Trial]) -> None:
        self._trials = trials
        self._answered_from: dict[int, int] = {}

    def answered(self, number: int, *, source: int) -> None:
        """Trial `number` shares the measurement, and so the files, of trial `source`."""
        self._answered_from[number] = source

    def source(self, number: int) -> int:
        """The trial that was trained where trial `number` was measured."""
        return self._answered_from.get(number, number)

    def seed(self, proposal: Proposal) -> int | None:
        """The seed that a trial goes on with; None: it is a training of its own."""
        trial = self._trained(proposal)
        return trial.seed if trial and proposal.resumed_epochs else None

    def is_under_way(self, proposal: Proposal, pending: Iterable[Trial]) -> bool:
        """Whether a pending trial does, to the bit, what is proposed: both go on from one trial."""
        seed = self.seed(proposal)
        return seed is not None and any(
            trial.seed == seed and identity(trial.proposal) == identity(proposal) for trial in pending
        )

    def check(self, proposal: Proposal, *, wanted: int) -> None:
        """Whether the proposal, which wants so many epochs in all, can go on from its parent, if it is to.

        Raises:
            TrialFailed: the message says why not. A controller must have been wrong.
        """
        if not proposal.resumed_epochs:
            return
        parent, trained = self._trained(proposal), proposal.resumed_epochs
        fits = (
            parent is not None
            and parent.status is Status.COMPLETE
            and parent.measurement is not None
            and parent.measurement.epochs == trained
            and parent.proposal.resumable
            and parent.architecture == proposal.architecture
        )
        if not fits:
            raise TrialFailed(
                f"can only go on from a complete, resumable trial of the same network after its {trained} epochs; "
                f"trial {proposal.parent} is none"
            )
        if wanted <= trained:
            raise TrialFailed(f"must train for more than the {trained} epochs of its parent, got {wanted}")

    def _trained(self, proposal: Proposal) -> Trial | None:
        return None if proposal.parent is None else self._trials.get(self.source(proposal.parent))


def identity(proposal: Proposal) -> str:
    """What has to agree for two trials to be the same training but for the seed, in one piece or in several."""
    assert proposal.architecture is not None
    schedule = proposal.schedule_epochs or proposal.epochs
    recipe = [proposal.recipe, dict(proposal.recipe_options)]
    return canonical_json([proposal.architecture.id, *recipe, proposal.epochs, schedule])
