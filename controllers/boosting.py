"""Boosting: a network of learned depth, then shallow ones that are each trained on what the sum so far gets wrong.

Gradient boosting with networks as weak learners is GrowNet (Badirli et al., 2020, arXiv 2002.07971); that a network
should grow by such members rather than by levels alone is the thought of AdaNet (Cortes et al., ICML 2017, arXiv
1607.01097). Here the first member carries most: an elastic supernet learns its depth, and it goes on with the weights
of that prefix. The last layer of every further member starts at zero, so that the sum goes on from where it is.

Differences from the papers: members are trained on the loss of the sum itself, not on its gradients; there is no
corrective step over all members; further members have one depth, the smallest, rather than rival depths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.controller import Controller
from controllers.fixed import Fixed
from controllers.one_shot import OneShot
from controllers.supernets import supernet_proposal
from controllers.trial import AS_LONG_AS_PAID, Proposal, Status, Trial
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.relaxations.chains import chain_of_depths, check_depths
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@dataclass(kw_only=True, config=CONFIG)
class Boosting:
    """First the supernet, unless the depth is given; then the first member; then one trial per further member."""

    space: SearchSpace = Field(repr=False)
    seed: int
    depth: int | None = None
    """Depth of the first member; none: an elastic supernet learns it."""
    search_share: float = Field(default=0.1, gt=0, lt=1)
    """Part of the run's budget that the supernet is trained for."""
    first_share: float = Field(default=0.4, gt=0, lt=1)
    """Part of the run's budget that the first member is trained for."""
    num_boosters: int = Field(default=2, ge=1)
    """Further members, which share equally in what is left."""
    booster_depth: int | None = None
    """Depth of a further member; none: the smallest of the space."""

    def __post_init__(self) -> None:
        _, depths = chain_of_depths(self.space, method="boosting")
        for name, depth in (("depth", self.depth), ("booster_depth", self.booster_depth)):
            if depth is not None:
                check_depths((depth,), depths, field=name)
        if self.search_share + self.first_share >= 1:
            raise InvalidInput(f"and search_share must leave something, got {self.first_share}", field="first_share")
        self._booster_depth = self.booster_depth or min(depths)
        self._base = self._learned() if self.depth is None else self._given(self.depth)
        self._first = 1 if self.depth is None else 0
        self._members: list[Trial] = []

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        if number <= self._first:
            proposal = self._base.ask(number, pending)
            return self._first_member(proposal) if proposal and number == self._first else proposal
        num_members = number - self._first
        if len(self._members) > num_members:  # a replay asks again
            return self._members[num_members].proposal
        if num_members > self.num_boosters:
            raise SearchExhausted(f"all {self.num_boosters} boosters are trained")
        if len(self._members) < num_members:
            return None
        last = self._members[-1]
        if last.status is not Status.COMPLETE:
            raise SearchExhausted(f"member {num_members} failed: {last.reason}")
        return self._booster(last)

    def tell(self, trial: Trial) -> None:
        if trial.number < self._first:
            self._base.tell(trial)
        else:
            self._members.append(trial)

    def recommend(self) -> int | None:
        """The sum of all members: a small validation set would often see too little of what the last one adds."""
        complete = [member.number for member in self._members if member.status is Status.COMPLETE]
        return complete[-1] if complete else None

    def _learned(self) -> Controller:
        return OneShot(
            space=self.space,
            seed=self.seed,
            relaxation="elastic",
            search_share=self.search_share,
            derive_top=1,
            derived_start="supernet",
            derived_epochs="all",
        )

    def _given(self, depth: int) -> Controller:
        return Fixed(space=self.space, seed=self.seed, architecture={"depth": depth})

    def _first_member(self, proposal: Proposal) -> Proposal:
        return replace(proposal, budget_share=self.first_share, keep=True)

    def _booster(self, last: Trial) -> Proposal:
        """One more member on top of those that `last` holds."""
        depths = _depths(last)
        is_last = len(depths) == self.num_boosters
        searched = self.search_share if self.depth is None else 0.0
        share = (1 - searched - self.first_share) / self.num_boosters
        return replace(
            supernet_proposal({"name": "ensemble", "depths": [*depths, self._booster_depth], "mix": "sum"}),
            epochs=AS_LONG_AS_PAID,
            min_epochs=1,
            budget_share=None if is_last else share,
            parent=last.number,
            inherits={"members": len(depths)},
            deliverable=True,
            keep=True,
            prunable=False,
        )


def _depths(trial: Trial) -> tuple[int, ...]:
    """Of the members of an ensemble, or of the one network."""
    if trial.architecture is not None:
        return (trial.architecture.depth,)
    return tuple(trial.proposal.relaxation["depths"])
