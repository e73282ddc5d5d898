"""Boosting: a network of learned depth, and shallow ones on top of it once it has memorised its examples.

An elastic supernet learns the depth of the first member, which goes on with the weights of that prefix. A supernet
whose training was too short for any level to beat a guess knows nothing of depths; the first member then has the middle
one, and fresh weights.

The first member is trained on one schedule over all that is left of the budget, and judged once on the way. Usually it
still learns, and goes on as if nobody had looked. But if its training loss is far below its validation loss by then, it
would only memorise its examples better; and if it is still not far below the loss of a guess, more training promises
little. In both cases it stays as it is, and what is left trains new members, one after the other, each on top of the
sum so far.

The last layer of a new member starts at zero, so that the sum goes on from where it is, and the members before it stay
as they are. A network that has memorised its examples is too sure of them to leave anything to learn; so its logits are
divided by the root of its temperature, which is half of what would calibrate it.

Networks as weak learners of gradient boosting are GrowNet (Badirli et al., 2020, arXiv 2002.07971); growth by members
as well as by levels is AdaNet (Cortes et al., ICML 2017, arXiv 1607.01097); temperatures are Guo et al.'s (ICML 2017,
arXiv 1706.04599).

Differences from the papers: members are trained on the loss of the sum itself, not on its gradients; there is no
corrective step for all members, which would undo what frozen ones gain; new members have one depth, and no rival.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.fixed import as_long_as_paid
from controllers.ladder import go_on
from controllers.one_shot import OneShot
from controllers.supernets import whole_supernet
from controllers.trial import TEMPERATURE, Proposal, Status, Trial
from search_spaces.errors import SearchExhausted
from search_spaces.readings import LEVEL_LOSS
from search_spaces.relaxations.chains import architecture_of, chain_of_depths, check_depths, middle_depth
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

GUESSING = 0.95
"""Loss by that of a uniform guess, above which nothing was learned."""


@dataclass(kw_only=True, config=CONFIG)
class Boosting:
    """The supernet, unless the depth is given; the first member, judged on its way; then members on top of it."""

    space: SearchSpace = Field(repr=False)
    seed: int
    depth: int | None = None
    """Depth of the first member; none: an elastic supernet learns it."""
    search_share: float = Field(default=0.1, gt=0, lt=1)
    """Part of the run's budget that the supernet is trained for."""
    judged_at: float = Field(default=0.45, gt=0, lt=1)
    """Part of the first member's training after which it is judged."""
    memorised_below: float = Field(default=0.7, ge=0)
    """Training loss by validation loss, below which a network counts as one that memorises its examples."""
    slow_above: float = Field(default=0.4, ge=0)
    """Validation loss by that of a uniform guess, above which a network counts as one that learns too slowly."""
    num_members: int = Field(default=4, ge=1)
    """New members on top of a first one that memorises or is slow; they share equally what is left."""
    member_depth: int | None = None
    """Depth of a new member; none: the smallest of the space."""
    calibration: float = Field(default=0.5, ge=0, le=1)
    """Power of the first member's temperature that its logits are divided by under new members; 0: they stay."""

    def __post_init__(self) -> None:
        self._chain, self._depths = chain_of_depths(self.space, method="boosting")
        for name, depth in (("depth", self.depth), ("member_depth", self.member_depth)):
            if depth is not None:
                check_depths((depth,), self._depths, field=name)
        self._search = self._elastic() if self.depth is None else None
        self._first = 0 if self._search is None else 1
        self._member_depth = self.member_depth or min(self._depths)
        self._told: dict[int, Trial] = {}

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        step = number - self._first
        if step < 0:
            assert self._search is not None
            return self._search.ask(number)
        if step == 0:
            return self._first_member()
        line = [self._told[index] for index in range(self._first, number) if index in self._told]
        if failed := [trial for trial in line if trial.status is not Status.COMPLETE]:
            raise SearchExhausted(f"trial {failed[0].number} failed: {failed[0].reason}")
        if not line:
            return None
        proposal = self._following(line)
        return proposal if len(line) == step else None

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
            proposal = as_long_as_paid(architecture_of(self._chain, depth))
        elif (derived := self._search.ask(self._first)) is not None:
            proposal = derived
        else:
            return None
        return replace(proposal, pause=self.judged_at, calibrate=True, keep=True)

    def _has_learned_nothing(self) -> bool:
        """Whether the supernet has failed, or no level of it does better than a guess."""
        if 0 not in self._told:
            return False
        measured = self._told[0].measurement
        if measured is None:
            return True
        losses = [measured.readings[LEVEL_LOSS][depth] for depth in self._depths]
        return min(losses) > GUESSING * math.log(self._chain.num_classes)

    def _following(self, line: Sequence[Trial]) -> Proposal:
        """What follows the first member, and what came after it.

        Raises:
            SearchExhausted: nothing does.
        """
        judged = line[0]
        if self._needs_members(judged):
            if len(line) > self.num_members:
                raise SearchExhausted("all members are trained")
            return self._new_member(line)
        if len(line) > 1 or not judged.proposal.resumable:
            raise SearchExhausted("the first member is trained")
        assert judged.proposal.schedule_epochs is not None
        schedule = judged.proposal.schedule_epochs
        return replace(go_on(judged, epochs=schedule, schedule_epochs=schedule), min_epochs=1)

    def _needs_members(self, judged: Trial) -> bool:
        """Whether more training of the first member promises little."""
        assert judged.measurement is not None
        train, validation = (judged.measurement.metrics[f"{split}_loss"] for split in ("train", "val"))
        memorises = train < self.memorised_below * validation
        return memorises or validation > self.slow_above * math.log(self._chain.num_classes)

    def _new_member(self, line: Sequence[Trial]) -> Proposal:
        """One more member on top of the first and those that followed it."""
        first, parent = line[0], line[-1]
        assert first.architecture is not None
        depths = [first.architecture.depth] + [self._member_depth] * len(line)
        is_last = len(line) == self.num_members
        return whole_supernet(
            {"name": "ensemble", "depths": depths, "mix": "sum"},
            budget_share=None if is_last else self._member_share(),
            parent=parent.number,
            inherits={"members": len(line), "temperature": self._softening(first) if parent is first else 1.0},
            keep=True,
        )

    def _member_share(self) -> float:
        """Part of the run's budget."""
        searched = 0.0 if self._search is None else self.search_share
        return (1 - searched) * (1 - self.judged_at) / self.num_members

    def _softening(self, trial: Trial) -> float:
        """What the logits of a first member are divided by."""
        assert trial.measurement is not None
        temperature = max(trial.measurement.metrics.get(TEMPERATURE, 1.0), 1.0)
        return math.pow(temperature, self.calibration)
