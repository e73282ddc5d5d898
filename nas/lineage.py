"""Trials that go on from trials: whose checkpoint, whose seed, and whether there is anything to go on from."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.trial import Proposal, Status, Trial
from search_spaces.architecture import canonical_json
from search_spaces.errors import TrialFailed


class Lineage:
    """The trials of one run that others may go on from.

    A trial answered from an earlier one has no files of its own: what goes on from it goes on from the earlier one.
    Only the run knows that; its controller saw two trials.
    """

    def __init__(self) -> None:
        self._trained: dict[int, Trial] = {}
        """By number: the trial that was trained where that one was measured."""
        self._kept: dict[int, int] = {}
        """By number: the trial whose weights that one may pass on."""

    def learn(self, trial: Trial, *, reused_from: int | None) -> None:
        """Remember a finished trial, perhaps answered from another, if it can be gone on from."""
        if trial.status is not Status.COMPLETE:
            return
        if trial.proposal.resumable:
            self._trained[trial.number] = trial if reused_from is None else self._trained[reused_from]
        if trial.proposal.keep:
            self._kept[trial.number] = trial.number if reused_from is None else self._kept[reused_from]

    def source(self, number: int) -> int:
        """The trial whose files trial `number` shares; most have their own."""
        return self._trained[number].number if number in self._trained else self._kept.get(number, number)

    def is_needed(self, number: int) -> bool:
        """Whether another trial may go on from the files of this one."""
        return number in self._trained or number in self._kept

    def seed(self, proposal: Proposal) -> int | None:
        """The seed that a trial goes on with; None: it is a training of its own."""
        parent = self._parent(proposal)
        return parent.seed if parent else None

    def is_under_way(self, proposal: Proposal, pending: Iterable[Trial]) -> bool:
        """Whether a pending trial does, to the bit, what is proposed: both go on from one trial."""
        seed = self.seed(proposal)
        return seed is not None and any(
            trial.seed == seed and identity(trial.proposal) == identity(proposal) for trial in pending
        )

    def check(self, proposal: Proposal, *, wanted: int) -> None:
        """Whether the proposal, which wants so many epochs in all, can start from its parent, if it is to.

        Raises:
            TrialFailed: the message says why not. A controller must have been wrong.
        """
        if proposal.inherits and proposal.parent not in self._kept:
            raise TrialFailed(
                f"can only inherit from a complete trial whose weights are kept; trial {proposal.parent} is none"
            )
        if not proposal.resumed_epochs:
            return
        parent, resumed = self._parent(proposal), proposal.resumed_epochs
        if (
            parent is None
            or parent.measurement is None
            or parent.measurement.epochs != resumed
            or parent.architecture != proposal.architecture
        ):
            raise TrialFailed(
                f"can only go on from a complete, resumable trial of the same network after its {resumed} epochs; "
                f"trial {proposal.parent} is none"
            )
        if wanted <= resumed:
            raise TrialFailed(f"must train for more than the {resumed} epochs of its parent, got {wanted}")

    def _parent(self, proposal: Proposal) -> Trial | None:
        if proposal.parent is None or not proposal.resumed_epochs:
            return None
        return self._trained.get(proposal.parent)


def identity(proposal: Proposal) -> str:
    """What has to agree for two trials to be the same training but for the seed, in one piece or in several."""
    assert proposal.architecture is not None
    schedule = proposal.schedule_epochs or proposal.epochs
    recipe = [proposal.recipe, dict(proposal.recipe_options)]
    start = [proposal.parent, dict(proposal.inherits)] if proposal.inherits else []
    return canonical_json([proposal.architecture.id, *recipe, proposal.epochs, schedule, *start])
