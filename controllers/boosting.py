"""Boosting: a network of learned depth; and if it has memorised its examples, shallow ones on top of it.

An elastic supernet learns the depth of the first member, which goes on with the weights of that prefix. A supernet
whose training was too short for any level to beat a guess knows nothing of depths; the first member then has the middle
one, and fresh weights.

What training leaves to gain is then read off the two losses of the first member. If its training loss is near its
validation loss, the network can still learn, and the rest of the budget trains it on. If it is far below, more training
would only memorise, and the rest is spent on new members, one after the other. The last layer of a new member starts at
zero, so that the sum of all goes on from where it is, and the members before it stay as they are. A member is priced as
if all were trained, so that something is left over in the end: with it the run trains all members together, the
corrective step of GrowNet.

Networks as weak learners of gradient boosting are GrowNet (Badirli et al., 2020, arXiv 2002.07971); growth by members
as well as by levels is AdaNet (Cortes et al., ICML 2017, arXiv 1607.01097).

Differences from the papers: members are trained on the loss of the sum itself, not on its gradients; the corrective
step is one, short and last; new members have one depth, the smallest, and no rival.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.fixed import as_long_as_paid
from controllers.growing import finishing
from controllers.one_shot import OneShot
from controllers.supernets import supernet_proposal
from controllers.trial import AS_LONG_AS_PAID, Proposal, Status, Trial
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.readings import LEVEL_LOSS
from search_spaces.relaxations.chains import architecture_of, chain_of_depths, check_depths, middle_depth
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

GUESSING = 0.95
"""Loss by that of a uniform guess, above which nothing was learned."""


@dataclass(kw_only=True, config=CONFIG)
class Boosting:
    """The supernet, unless the depth is given; the first member; then that trained on, or new members."""

    space: SearchSpace = Field(repr=False)
    seed: int
    depth: int | None = None
    """Depth of the first member; none: an elastic supernet learns it."""
    search_share: float = Field(default=0.1, gt=0, lt=1)
    """Part of the run's budget that the supernet is trained for."""
    first_share: float = Field(default=0.4, gt=0, lt=1)
    """Part of the run's budget that the first member is trained for."""
    memorised_below: float = Field(default=0.5, ge=0)
    """Training loss by validation loss, below which the first member counts as one that has memorised its examples."""
    num_new_members: int = Field(default=2, ge=1)
    """Members beside the first, which share equally in what is left."""
    member_depth: int | None = None
    """Depth of a new member; none: the smallest of the space."""

    def __post_init__(self) -> None:
        self._chain, self._depths = chain_of_depths(self.space, method="boosting")
        for name, depth in (("depth", self.depth), ("member_depth", self.member_depth)):
            if depth is not None:
                check_depths((depth,), self._depths, field=name)
        if self.search_share + self.first_share >= 1:
            raise InvalidInput(f"with search_share must leave something, got {self.first_share:g}", field="first_share")
        self._member_depth = self.member_depth or min(self._depths)
        self._search = self._elastic() if self.depth is None else None
        self._first = 0 if self._search is None else 1
        self._told: dict[int, Trial] = {}

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        step = number - self._first
        if step < 0:
            assert self._search is not None
            return self._search.ask(number)
        if step == 0:
            proposal = self._first_member()
            return proposal and replace(proposal, budget_share=self.first_share, keep=True)
        line = [self._told[index] for index in range(self._first, number) if index in self._told]
        if failed := [trial for trial in line if trial.status is not Status.COMPLETE]:
            raise SearchExhausted(f"member {len(line)} failed: {failed[0].reason}")
        if line and step > (self.num_new_members if self._has_memorised() else 1):
            raise SearchExhausted("the budget's last part is spent")
        if len(line) < step:
            return None
        return self._new_member(line[-1]) if self._has_memorised() else finishing(line[-1])

    def tell(self, trial: Trial) -> None:
        self._told[trial.number] = trial
        if self._search is not None and trial.number < self._first:
            self._search.tell(trial)

    def recommend(self) -> int | None:
        """The last: a small validation set would often see too little of what a new member adds."""
        trained = [trial for trial in self._told.values() if trial.number >= self._first]
        return max((trial.number for trial in trained if trial.status is Status.COMPLETE), default=None)

    def _elastic(self) -> OneShot:
        return OneShot(
            space=self.space,
            seed=self.seed,
            relaxation="elastic",
            search_share=self.search_share,
            derive_top=1,
            derived_start="supernet",
            derived_epochs="all",
        )

    def _first_member(self) -> Proposal | None:
        """What the supernet points to, or the depth that is given or guessed; None: the supernet is not trained."""
        if self._search is None or self._has_learned_nothing():
            depth = self.depth if self.depth is not None else middle_depth(self._depths)
            return as_long_as_paid(architecture_of(self._chain, depth))
        return self._search.ask(self._first)

    def _has_learned_nothing(self) -> bool:
        """Whether the supernet is trained, and no level of it does better than a guess."""
        supernet = self._told.get(0)
        if supernet is None or supernet.measurement is None:
            return False
        losses = [supernet.measurement.readings[LEVEL_LOSS][depth] for depth in self._depths]
        return min(losses) > GUESSING * math.log(self._chain.num_classes)

    def _has_memorised(self) -> bool:
        """Whether the first member has."""
        measured = self._told[self._first].measurement
        assert measured is not None
        return measured.metrics["train_loss"] < self.memorised_below * measured.metrics["val_loss"]

    def _new_member(self, parent: Trial) -> Proposal:
        """One more member on top of those that `parent` holds."""
        depths = _depths(parent)
        is_last = len(depths) == self.num_new_members
        searched = 0.0 if self._search is None else self.search_share
        share = (1 - searched - self.first_share) / self.num_new_members
        return replace(
            supernet_proposal({"name": "ensemble", "depths": [*depths, self._member_depth], "mix": "sum"}),
            epochs=AS_LONG_AS_PAID,
            min_epochs=1,
            budget_share=None if is_last else share,
            parent=parent.number,
            inherits={"members": len(depths)},
            deliverable=True,
            keep=True,
            prunable=False,
        )


def _depths(trial: Trial) -> tuple[int, ...]:
    """Of the members of a sum, or of the one network."""
    if trial.architecture is not None:
        return (trial.architecture.depth,)
    return tuple(trial.proposal.relaxation["depths"])
