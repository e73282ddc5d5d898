"""A chain that learns from the labels and from the answers of another one, which is trained and does not change.

Hinton, Vinyals & Dean, 2015, arXiv 1503.02531: `(1 - C) CE + C tau^2 CE(softmax(teacher / tau), softmax(student /
tau))`; the loss here is less by the entropy of the teacher, which moves no weight. The student is the network: the
teacher, whose weights are data, computes its answers in every training step, which are paid for, and nothing else.
A student that has inherited no teacher, as in the final training of its architecture, learns from the labels alone.
Shapes: B batch, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture, Option
from search_spaces.buffers import as_buffers
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.readings import Readings
from search_spaces.relaxations.chains import chain_with
from search_spaces.relaxations.distillation import distillation
from search_spaces.relaxations.relaxation import Criterion
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class Distilled:
    """Trains a student with a teacher that it inherits."""

    teacher: Mapping[str, Option]
    """Decisions of the teacher by name; of those not named, depths are the largest, others take their first option."""
    student: Mapping[str, Option]
    """The same, of the student."""
    distillation: float = Field(default=0.9, ge=0, le=1)
    """C, the share of the teacher's answers, rather than the labels, in what the student learns."""
    temperature: float = Field(default=4.0, gt=0)
    """Tau, by which the answers of both are softened."""

    recipe = "standard"

    def recipe_options(self) -> Mapping[str, Any]:
        return {}

    def check(self, space: SearchSpace) -> None:
        chain_with(space, self.teacher, method="distillation", field="teacher")
        chain_with(space, self.student, method="distillation", field="student")

    def supernet(self, space: SearchSpace) -> nn.Module:
        chain, teacher = chain_with(space, self.teacher, method="distillation", field="teacher")
        _, student = chain_with(space, self.student, method="distillation", field="student")
        return DistilledNetwork(chain, teacher, student, self)


class DistilledNetwork(nn.Module):
    """The student, and beside it the weights of the teacher."""

    def __init__(self, space: ChainSpace, teacher: Architecture, student: Architecture, options: Distilled) -> None:
        super().__init__()
        self.architecture = student
        self.options = options
        self.chain: Chain = space.build(student)
        self.teacher = as_buffers(space.build(teacher))
        self.is_taught = False

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the student."""
        y_BK: Tensor = self.chain(x_B)
        return y_BK

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The weighted mean of what the labels and what the teacher say."""
        y_BK = self(x_B)
        from_labels = criterion(y_BK, y_B).mean()
        if not self.is_taught:
            return from_labels
        with torch.no_grad():
            teacher_BK = self.teacher(x_B)
        from_teacher = distillation(y_BK, teacher_BK, self.options.temperature)
        share = self.options.distillation
        return (1 - share) * from_labels + share * from_teacher

    def inherit(self, parent: Mapping[str, Tensor], *, role: Literal["teacher"]) -> None:
        """Take the parent, a chain, as the teacher."""
        self.teacher.load_state_dict(parent)
        self.is_taught = True

    def size(self) -> int:
        """Whether a step asks a teacher."""
        return int(self.is_taught)

    def grow_fully(self) -> None:
        """Be priced with a teacher."""
        self.is_taught = True

    def get_extra_state(self) -> Tensor:
        """Whether the teacher in the state is one."""
        return torch.tensor(self.is_taught)

    def set_extra_state(self, state: Tensor) -> None:
        """Inverse of `get_extra_state`."""
        self.is_taught = bool(state)

    def train(self, mode: bool = True) -> DistilledNetwork:
        """The teacher stays in evaluation mode, so that its running statistics do not move."""
        super().train(mode)
        self.teacher.eval()
        return self

    def architecture_parameters(self) -> list[nn.Parameter]:
        """None: both architectures are given."""
        return []

    def constrain(self) -> None:
        """Nothing to do."""

    def profile(self) -> tuple[float, ...]:
        """Nothing: no level is weighed."""
        return ()

    def derive(self, readings: Readings) -> tuple[Architecture, ...]:
        """The student."""
        return (self.architecture,)
