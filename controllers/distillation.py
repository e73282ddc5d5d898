"""Knowledge distillation: a large network is trained, then a smaller one that learns from its answers.

Hinton, Vinyals & Dean, 2015, arXiv 1503.02531. Both trainings are trials of one run, so the student's accuracy is
bought with the teacher's training and with its forward passes in every step of the student's
(`search_spaces.relaxations.distilled`). What the run delivers is the student, however good the teacher is.

Differences from the paper: the teacher is one network, not an ensemble; the transfer set is the training data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.fixed import as_long_as_paid
from controllers.supernets import whole_supernet
from controllers.trial import Proposal, Status, Trial
from search_spaces.architecture import Option
from search_spaces.errors import SearchExhausted
from search_spaces.relaxations.chains import chain_with
from search_spaces.relaxations.distilled import Distilled
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG, dump


@dataclass(kw_only=True, config=CONFIG)
class Distillation:
    """Trial 0 is the teacher, trial 1 the student."""

    space: SearchSpace = Field(repr=False)
    seed: int
    student: Mapping[str, Option]
    """Decisions of the student by name; of those not named, depths are the largest, and the others take their first
    option."""
    teacher: Mapping[str, Option] = Field(default_factory=dict)
    """The same, of the teacher."""
    teacher_share: float = Field(default=0.5, gt=0, lt=1)
    """Part of the run's budget that the teacher is trained for."""
    distillation: float = Field(default=0.9, ge=0, le=1)
    """C, the share of the teacher's answers, rather than the labels, in what the student learns. The paper: best with a
    considerably lower weight on the labels."""
    temperature: float = Field(default=4.0, gt=0)
    """Tau, by which the answers of both are softened. The paper: 2.5 to 4 for students with 30 units a layer, above 8,
    as 20, for those with 300 or more."""

    def __post_init__(self) -> None:
        distilled = Distilled(
            teacher=self.teacher,
            student=self.student,
            distillation=self.distillation,
            temperature=self.temperature,
        )
        distilled.check(self.space)
        _, teacher = chain_with(self.space, self.teacher, method="distillation", field="teacher")
        self._teacher = replace(as_long_as_paid(teacher), budget_share=self.teacher_share, keep=True)
        self._student = whole_supernet(
            {"name": "distilled", **dump(distilled)},
            parent=0,
            inherits={"role": "teacher"},
        )
        self._told: dict[int, Trial] = {}

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal | None:
        if number == 0:
            return self._teacher
        if number > 1:
            raise SearchExhausted("the student is trained")
        if 0 not in self._told:
            return None
        if self._told[0].status is not Status.COMPLETE:
            raise SearchExhausted(f"the teacher failed: {self._told[0].reason}")
        return self._student

    def tell(self, trial: Trial) -> None:
        self._told[trial.number] = trial

    def recommend(self) -> int | None:
        """The student; the teacher is not what was asked for, and is left to a run whose student failed."""
        student = self._told.get(1)
        return None if student is None or student.status is not Status.COMPLETE else 1
