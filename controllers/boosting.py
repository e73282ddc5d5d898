"""Boosting: a network of learned depth; then it trains on, or a shallow one learns what it gets wrong, as pays more.

An elastic supernet learns the depth of the first member, which goes on with the weights of that prefix. Then two rivals
start from it with the same compute: the same network trained on, and a sum with a new member, whose last layer starts
at zero, so that the sum goes on from where it is. The rival with the smaller validation loss gets the rest of the
budget in the same way: more training, or one member more.

Networks as weak learners of gradient boosting are GrowNet (Badirli et al., 2020, arXiv 2002.07971); rivals of which one
joins, and growth by members as well as by levels, are AdaNet (Cortes et al., ICML 2017, arXiv 1607.01097).

Differences from the papers: members are trained on the loss of the sum itself, not on its gradients; there is no
corrective step over all members; new members have one depth, the smallest, and the rival is no deeper member, but
training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.growing import finishing
from controllers.one_shot import OneShot
from controllers.supernets import supernet_proposal
from controllers.trial import AS_LONG_AS_PAID, Proposal, Status, Trial
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.relaxations.chains import architecture_of, chain_of_depths, check_depths
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

NUM_RIVALS = 2


@dataclass(kw_only=True, config=CONFIG)
class Boosting:
    """The supernet, unless the depth is given; the first member; the two rivals; what goes on from the better one."""

    space: SearchSpace = Field(repr=False)
    seed: int
    depth: int | None = None
    """Depth of the first member; none: an elastic supernet learns it."""
    search_share: float = Field(default=0.1, gt=0, lt=1)
    """Part of the run's budget that the supernet is trained for."""
    first_share: float = Field(default=0.3, gt=0, lt=1)
    """Part of the run's budget that the first member is trained for."""
    rival_share: float = Field(default=0.1, gt=0, lt=0.5)
    """Part of the run's budget that each rival is trained for."""
    in_doubt: Literal["shallowest", "middle"] = "middle"
    """Which of the depths that may be the best: see `elastic`."""
    member_depth: int | None = None
    """Depth of a new member; none: the smallest of the space."""

    def __post_init__(self) -> None:
        self._chain, depths = chain_of_depths(self.space, method="boosting")
        for name, depth in (("depth", self.depth), ("member_depth", self.member_depth)):
            if depth is not None:
                check_depths((depth,), depths, field=name)
        taken = self.search_share + self.first_share + NUM_RIVALS * self.rival_share
        if taken > 1:
            raise InvalidInput(
                f"with search_share, first_share and a second rival must be at most 1, got {taken:g}",
                field="rival_share",
            )
        self._member_depth = self.member_depth or min(depths)
        self._search = self._elastic() if self.depth is None else None
        self._first = 0 if self._search is None else 1
        self._told: dict[int, Trial] = {}

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        step = number - self._first
        if step < 0:
            return self._searching(number)
        if step == 0:
            proposal = self._searching(number)
            return proposal and replace(proposal, budget_share=self.first_share, keep=True)
        if step > NUM_RIVALS + 1:
            raise SearchExhausted("the better rival has got the rest")
        if step <= NUM_RIVALS:
            first = self._told.get(self._first)
            return None if first is None else self._rival(step, _complete(first))
        if any(self._first + rival not in self._told for rival in range(1, NUM_RIVALS + 1)):
            return None
        winner = self._winner()
        if winner is None:
            raise SearchExhausted("both rivals failed")
        return self._goes_on(winner)

    def tell(self, trial: Trial) -> None:
        self._told[trial.number] = trial
        if self._search is not None and trial.number < self._first:
            self._search.tell(trial)

    def recommend(self) -> int | None:
        """The latest of the line that the rest was spent on, which nothing but compute makes better or worse."""
        line = [self._told.get(self._first + NUM_RIVALS + 1), self._winner(), self._told.get(self._first)]
        complete = [trial.number for trial in line if trial is not None and trial.status is Status.COMPLETE]
        return complete[0] if complete else None

    def _elastic(self) -> OneShot:
        return OneShot(
            space=self.space,
            seed=self.seed,
            relaxation="elastic",
            options={"in_doubt": self.in_doubt},
            search_share=self.search_share,
            derive_top=1,
            derived_start="supernet",
            derived_epochs="all",
        )

    def _searching(self, number: int) -> Proposal | None:
        """The supernet, then the network that it points to; or the one that is given."""
        if self._search is not None:
            return self._search.ask(number)
        assert self.depth is not None
        return Proposal(
            architecture=architecture_of(self._chain, self.depth),
            epochs=AS_LONG_AS_PAID,
            min_epochs=1,
            prunable=False,
        )

    def _rival(self, step: int, first: Trial) -> Proposal:
        proposal = finishing(first) if step == 1 else self._with_new_member(first)
        return replace(proposal, budget_share=self.rival_share, keep=True)

    def _winner(self) -> Trial | None:
        """The rival with the smaller validation loss (ties: the one network)."""
        rivals = [self._told.get(self._first + step) for step in range(1, NUM_RIVALS + 1)]
        complete = [trial for trial in rivals if trial is not None and trial.status is Status.COMPLETE]
        return min(complete, key=_loss, default=None)

    def _goes_on(self, winner: Trial) -> Proposal:
        return finishing(winner) if winner.architecture is not None else self._with_new_member(winner)

    def _with_new_member(self, parent: Trial) -> Proposal:
        """One more member on top of those that `parent` holds."""
        members = _depths(parent)
        return replace(
            supernet_proposal({"name": "ensemble", "depths": [*members, self._member_depth], "mix": "sum"}),
            epochs=AS_LONG_AS_PAID,
            min_epochs=1,
            parent=parent.number,
            inherits={"members": len(members)},
            deliverable=True,
            prunable=False,
        )


def _complete(first: Trial) -> Trial:
    """The first member.

    Raises:
        SearchExhausted: it failed.
    """
    if first.status is not Status.COMPLETE:
        raise SearchExhausted(f"the first member failed: {first.reason}")
    return first


def _loss(trial: Trial) -> float:
    assert trial.measurement is not None
    return trial.measurement.metrics["val_loss"]


def _depths(trial: Trial) -> tuple[int, ...]:
    """Of the members of a sum, or of the one network."""
    if trial.architecture is not None:
        return (trial.architecture.depth,)
    return tuple(trial.proposal.relaxation["depths"])
