"""Boosting: a network of learned depth, trained on while that helps, then shallow ones on top of it.

An elastic supernet learns the depth of the first member, which goes on with the weights of that prefix. A supernet
whose training was too short for any level to beat a guess knows nothing of depths; the first member then has the middle
one, and fresh weights.

The rest of the budget is spent in equal parts. While training on helps, the first member is trained on. Two losses say
when it no longer does: its training loss is far below its validation loss, so that more training would memorise; or
its validation loss has hardly fallen in the last part, so that fresh weights promise more. From then on every part
trains a new member on top of the sum so far. The last layer of a new member starts at zero, so that the sum goes on
from where it is, and the members before it stay as they are. A network that has memorised its examples is too sure of
them to leave anything to learn; so its logits are divided by the root of its temperature, which is half of what would
calibrate it.

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
from controllers.growing import finishing
from controllers.one_shot import OneShot
from controllers.supernets import whole_supernet
from controllers.trial import TEMPERATURE, Proposal, Status, Trial
from search_spaces.errors import InvalidInput, SearchExhausted
from search_spaces.readings import LEVEL_LOSS
from search_spaces.relaxations.chains import architecture_of, chain_of_depths, check_depths, middle_depth
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

GUESSING = 0.95
"""Loss by that of a uniform guess, above which nothing was learned."""


@dataclass(kw_only=True, config=CONFIG)
class Boosting:
    """The supernet, unless the depth is given; the first member; then parts that train it on or add to it."""

    space: SearchSpace = Field(repr=False)
    seed: int
    depth: int | None = None
    """Depth of the first member; none: an elastic supernet learns it."""
    search_share: float = Field(default=0.1, gt=0, lt=1)
    """Part of the run's budget that the supernet is trained for."""
    first_share: float = Field(default=0.4, gt=0, lt=1)
    """Part of the run's budget that the first member is trained for at first."""
    num_parts: int = Field(default=3, ge=1)
    """Equal parts that the rest is spent in: each trains the first member on, or a new one."""
    memorised_below: float = Field(default=0.5, ge=0)
    """Training loss by validation loss, below which a sum counts as one that has memorised its examples."""
    stuck_above: float = Field(default=0.95, ge=0)
    """Validation loss by that before the last part, above which training on counts as of no use."""
    member_depth: int | None = None
    """Depth of a new member on one that has memorised; none: the smallest of the space. On one that is stuck, a new
    member is as deep as the first."""
    calibration: float = Field(default=0.5, ge=0, le=1)
    """Power of the first member's temperature that its logits are divided by under new members; 0: they stay."""

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
            return proposal and replace(proposal, budget_share=self.first_share, calibrate=True, keep=True)
        line = [self._told[index] for index in range(self._first, number) if index in self._told]
        if failed := [trial for trial in line if trial.status is not Status.COMPLETE]:
            raise SearchExhausted(f"trial {failed[0].number} failed: {failed[0].reason}")
        if step > self.num_parts:
            raise SearchExhausted("the budget's last part is spent")
        if len(line) < step:
            return None
        proposal = self._new_member(line[-1]) if self._is_trained(line) else self._training_on(line[-1])
        return replace(proposal, budget_share=None if step == self.num_parts else self._part())

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
        """Whether the supernet has failed, or no level of it does better than a guess."""
        if 0 not in self._told:
            return False
        measured = self._told[0].measurement
        if measured is None:
            return True
        losses = [measured.readings[LEVEL_LOSS][depth] for depth in self._depths]
        return min(losses) > GUESSING * math.log(self._chain.num_classes)

    def _part(self) -> float:
        """Of the run's budget."""
        searched = 0.0 if self._search is None else self.search_share
        return (1 - searched - self.first_share) / self.num_parts

    def _is_trained(self, line: Sequence[Trial]) -> bool:
        """Whether training on is of no use. It never is again once there are members on top."""
        if line[-1].architecture is None or self._has_memorised(line[-1]):
            return True
        return len(line) > 1 and _loss(line[-1], "val") > self.stuck_above * _loss(line[-2], "val")

    def _has_memorised(self, trial: Trial) -> bool:
        return _loss(trial, "train") < self.memorised_below * _loss(trial, "val")

    def _training_on(self, parent: Trial) -> Proposal:
        """The first member once more, from where it is."""
        return replace(finishing(parent), calibrate=True, keep=True)

    def _new_member(self, parent: Trial) -> Proposal:
        """One more member on top of those that `parent` holds."""
        depths = _depths(parent)
        depth = self._member_depth if self._has_memorised(parent) else depths[0]
        is_first = parent.architecture is not None
        return whole_supernet(
            {"name": "ensemble", "depths": [*depths, depth], "mix": "sum"},
            parent=parent.number,
            inherits={"members": len(depths), "temperature": self._softening(parent) if is_first else 1.0},
            keep=True,
        )

    def _softening(self, trial: Trial) -> float:
        """What the logits of a first member are divided by."""
        assert trial.measurement is not None
        temperature = max(trial.measurement.metrics.get(TEMPERATURE, 1.0), 1.0)
        return math.pow(temperature, self.calibration)


def _loss(trial: Trial, split: str) -> float:
    assert trial.measurement is not None
    return trial.measurement.metrics[f"{split}_loss"]


def _depths(trial: Trial) -> tuple[int, ...]:
    """Of the members of a sum, or of the one network."""
    if trial.architecture is not None:
        return (trial.architecture.depth,)
    return tuple(trial.proposal.relaxation["depths"])
