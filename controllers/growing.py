"""What the methods that grow one network share: its stages, each a trial that starts with the weights of another.

A stage trains a chain of one depth for a few epochs at a constant rate, and validation says how well it does. The last
trial gives the chosen stage all that is left of the budget, with the study's own schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from controllers.trial import AS_LONG_AS_PAID, Proposal, Status, Trial
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.inheritance import Inheritance
from search_spaces.relaxations.chains import architecture_of, deepest
from search_spaces.values import dump

NewBlocks = Literal["random", "identity"]


@dataclass
class Stages:
    """What was told, in order: the stages, then the last trial, which is none."""

    network: str
    """What grows, for messages: `the grown network`."""
    told: list[Trial] = field(default_factory=list)

    def turn(self, number: int, pending: Sequence[Trial], grow: Callable[[], Proposal]) -> Proposal | None:
        """Trial `number`: what was proposed if it was told, what `grow` proposes if it is its turn; None: wait.

        Raises:
            SearchExhausted: the last trial was told; or from `grow`.
        """
        if number < len(self.told):
            return self.told[number].proposal
        if self.is_finished:
            raise SearchExhausted(f"{self.network} is trained")
        return None if pending else grow()

    @property
    def trials(self) -> list[Trial]:
        """The stages. The last trial keeps no weights."""
        return [trial for trial in self.told if trial.proposal.keep]

    @property
    def is_finished(self) -> bool:
        """Whether the last trial was told."""
        return len(self.told) > len(self.trials)

    @property
    def scores(self) -> list[float]:
        """Validation accuracy of every stage; a stage that failed has none, and is last."""
        return [trial.score for trial in self.trials if trial.status is Status.COMPLETE and trial.score is not None]

    @property
    def has_failed(self) -> bool:
        """Whether the last stage did: there is nothing to grow from."""
        return bool(self.trials) and self.trials[-1].status is not Status.COMPLETE

    def last(self) -> Trial:
        """The deepest stage that trained.

        Raises:
            SearchExhausted: there is none.
        """
        complete = [trial for trial in self.trials if trial.status is Status.COMPLETE]
        if not complete:
            raise SearchExhausted("the first stage failed, so that there is nothing to grow")
        return complete[-1]

    def best(self) -> Trial:
        """The stage with the best score (ties: the shallowest)."""
        self.last()
        return max(self.trials, key=lambda trial: (trial.score or 0.0, -trial.number))


def stage_length(stage_epochs: int | None, trial_epochs: int) -> int:
    """Epochs of a stage: its own, or a quarter of an ordinary trial."""
    return stage_epochs or max(1, trial_epochs // 4)


def seedling(space: ChainSpace, depth: int, *, epochs: int) -> Proposal:
    """The first stage, from fresh weights."""
    return Proposal(
        architecture=architecture_of(space, depth),
        recipe_options={"schedule": "constant"},
        epochs=epochs,
        min_epochs=1,
        prunable=False,
        keep=True,
    )


def grown(space: ChainSpace, parent: Trial, blocks: Sequence[int], *, new_blocks: NewBlocks, epochs: int) -> Proposal:
    """A stage whose blocks are those of `parent` with these numbers, from 1; 0: a new one."""
    inheritance = Inheritance(blocks=tuple(blocks), new_blocks=new_blocks)
    first = seedling(space, len(blocks), epochs=epochs)
    return replace(first, parent=parent.number, inherits=dump(inheritance))


def finishing(parent: Trial) -> Proposal:
    """The last trial: the network of a stage goes on for as long as the budget pays."""
    assert parent.architecture is not None
    return Proposal(
        architecture=parent.architecture,
        epochs=AS_LONG_AS_PAID,
        min_epochs=1,
        parent=parent.number,
        inherits=dump(Inheritance.prefix(parent.architecture.depth)),
        prunable=False,
    )


def check_identities(space: ChainSpace, *, method: str) -> None:
    """Refuse a space whose blocks cannot start as identities, before anything runs.

    Raises:
        InvalidInput: they cannot.
    """
    if space.tied:
        raise InvalidInput(f"{method} adds blocks of their own: space.tied must be false, or new_blocks random")
    chain = space.build(deepest(space))
    space.make_identity(chain.blocks[-1], chain.parts()[-3])
