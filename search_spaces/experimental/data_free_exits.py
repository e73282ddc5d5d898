"""Early exits for a trained static chain, whose training data nobody has any more.

Idea, without a recipe: "given a trained static network convert it into a dynamic network", where training data are not
available and the trained network is, by zero-shot knowledge distillation. Published are the data impressions
(`search_spaces.experimental.impressions`) and that a student learns from them at the same temperature.

Our reading: the chain does not change; each early exit is a classifier that learns the chain's own answers to
impressions, `tau^2 KL`. One trial has three stages, by shares of its steps, so that all of it is paid for:

1. The chain is trained, from data. What follows knows its weights and nothing else.
2. Impressions are made: noise is changed, by as many of them at a time as a batch has examples.
3. The exits learn. No batch of data is looked at; the chain and its running statistics stay as they are.

Two controls are options: exits that learn the chain's answers to noise, and to the inputs of the training data.

Differences from the paper: impressions learn by the study's optimizer, and keep whatever range they reach, where the
authors' code brings every batch to [0, 1] in each step, which was no better here; a student learns from answers alone,
as no labels are left.
A trial is priced as if all of its steps were the costliest.
Shapes: B batch, K classes, I impressions of one set.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.buffers import as_buffers
from search_spaces.chain_space import ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.experimental.impressions import draw_answers, mismatch
from search_spaces.flops import count_flops
from search_spaces.relaxations.exit_network import taught_losses
from search_spaces.relaxations.multi_exit import MultiExit, MultiExitNetwork, exits_of
from search_spaces.relaxations.relaxation import Criterion, TrainingStage
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class DataFreeExits:
    """Trains a chain, and early exits on what the chain alone tells about its data."""

    exits: tuple[int, ...] = ()
    """Depths with a classifier, ascending, among those of the space; empty: all of them."""
    transfer: Literal["impressions", "noise", "data"] = "impressions"
    """What exits learn the chain's answers to."""
    chain_share: float = Field(default=0.5, ge=0, lt=1)
    """Share of the steps that train the chain."""
    impression_share: float = Field(default=0.25, ge=0, lt=1)
    """Share of the steps that make impressions; the rest trains exits, and all of it where there are none to make."""
    num_sets: int = Field(default=4, ge=1)
    """Sets of impressions; a step changes one, or learns from one."""
    set_size: int = Field(default=100, ge=1)
    """Impressions of a set, 100 in the authors' code; a smaller batch of the study uses fewer."""
    temperature: float = Field(default=20.0, gt=0)
    """Tau, by which the chain's answers are softened, to find impressions and to learn from them."""
    impression_learning_rate: float = Field(default=10.0, gt=0)
    """Peak for impressions, as a multiple of the study's."""
    exit_learning_rate: float = Field(default=30.0, gt=0)
    """Peak for exits, single layers which are all that learns by then, as a multiple of the study's."""

    recipe = "standard"

    def __post_init__(self) -> None:
        if self.chain_share + self.impression_share >= 1:
            raise InvalidInput(
                f"must be less than 1 together with chain_share, got {self.impression_share} + {self.chain_share}",
                field="impression_share",
            )

    def recipe_options(self) -> dict[str, object]:
        return {}

    def check(self, space: SearchSpace) -> None:
        chain, _ = exits_of(space, self.exits, method="data_free_exits")
        if getattr(chain, "num_tokens", 0):
            raise InvalidInput("data_free_exits changes inputs little by little, which tokens cannot be")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        return DataFreeNetwork(*exits_of(space, self.exits, method="data_free_exits"), self)


class Stage(IntEnum):
    """Of a trial."""

    CHAIN = 0
    IMPRESSIONS = 1
    EXITS = 2


class DataFreeNetwork(MultiExitNetwork):
    """A chain with exits, and impressions of its classes."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: DataFreeExits) -> None:
        super().__init__(space, depths, MultiExit(distillation=1.0, temperature=options.temperature, unlabelled=0.0))
        self.learning = options
        self.teacher = self.heads[str(depths[-1])]
        num_sets = options.num_sets if options.transfer == "impressions" else 0
        self.impressions = nn.ParameterList(
            nn.Parameter(torch.rand(options.set_size, *space.input_shape)) for _ in range(num_sets)
        )
        self.answers = nn.Buffer(torch.zeros(num_sets, options.set_size, space.num_classes))
        """What the chain is to say of each, `[sets, I, K]`."""
        self.seed = nn.Buffer(torch.randint(2**31, ()))
        self.stage = Stage.CHAIN
        self.set = 0

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The loss of the chain, of impressions, or of early exits."""
        if self.stage is Stage.CHAIN:
            return criterion(self(x_B), y_B).mean()
        if self.stage is Stage.IMPRESSIONS:
            x_I = self._impressions(at_most=len(x_B))
            return mismatch(self(x_I), self.answers[self.set, : len(x_I)], self.learning.temperature)
        with torch.no_grad():
            states = self.chain.hidden_states(self._transferred(x_B))
            teacher_BK = self._read(self.depths[-1], states[-1])
        students = [self._read(depth, states[depth]) for depth in self.depths[:-1]]
        teachers = [[teacher_BK]] * len(students)
        return torch.stack(taught_losses(students, teachers, self.temperature)).mean()

    def _impressions(self, *, at_most: int) -> Tensor:
        """The first of the set of this step."""
        impression_I: Tensor = self.impressions[self.set]
        return impression_I[:at_most]

    def _transferred(self, x_B: Tensor) -> Tensor:
        """The inputs that exits learn from, at most as many as there are in `x_B`."""
        match self.learning.transfer:
            case "impressions":
                return self._impressions(at_most=len(x_B))
            case "noise":
                return torch.rand_like(x_B)
            case "data":
                return x_B

    def draw(self) -> int:
        """Draw the set of the next step; all cost the same."""
        self.set = int(torch.randint(max(1, len(self.impressions)), ()))
        return 0

    def stages(self) -> tuple[TrainingStage, ...]:
        """Chain, impressions, exits."""
        options = self.learning
        making = options.impression_share if options.transfer == "impressions" else 0.0
        return (
            TrainingStage(begins=0.0),
            TrainingStage(begins=options.chain_share, learning_rate=options.impression_learning_rate),
            TrainingStage(begins=options.chain_share + making, learning_rate=options.exit_learning_rate),
        )

    def begin_stage(self, number: int) -> None:
        """Fix what was learned before. Answers, drawn again, are the same: they follow from fixed weights."""
        self._enter(Stage(number))
        if self.stage is Stage.IMPRESSIONS:
            linear = [layer for layer in self.teacher.modules() if isinstance(layer, nn.Linear)][-1]
            weight_KD = linear.weight.detach().double().cpu().numpy()
            drawn = draw_answers(weight_KD, self.answers.shape[:2].numel(), seed=int(self.seed))
            self.answers.copy_(torch.from_numpy(drawn).reshape(self.answers.shape))
        if self.stage is Stage.EXITS:
            as_buffers(self.impressions)  # data by now, and no part of the network

    def size(self) -> int:
        """The stage: each computes something else."""
        return self.stage

    def grow_fully(self) -> None:
        """Take the stage that costs most."""
        self._enter(max(Stage, key=self._step_flops))

    def train(self, mode: bool = True) -> DataFreeNetwork:
        """A chain that is finished stays in evaluation mode."""
        super().train(mode)
        for part in (self.chain, self.teacher):
            part.train(mode and self.stage is Stage.CHAIN)
        return self

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self.requires_grad_(False)
        learning: dict[Stage, list[nn.Module]] = {
            Stage.CHAIN: [self.chain, self.teacher],
            Stage.IMPRESSIONS: [self.impressions],
            Stage.EXITS: [self.heads[str(depth)] for depth in self.depths[:-1]],
        }
        for part in learning[stage]:
            part.requires_grad_(True)
        self.train(self.training)

    def _step_flops(self, stage: Stage) -> int:
        """Of two inputs; more cost proportionally more."""
        if stage is Stage.IMPRESSIONS and not len(self.impressions):
            return 0
        self._enter(stage)
        x_B, y_B = torch.zeros(2, *self.input_shape), torch.zeros(2, dtype=torch.int64)

        def step() -> None:
            self.objective(x_B, y_B, _any_loss).backward()  # type: ignore[no-untyped-call]

        return count_flops(step)


def _any_loss(y_BK: Tensor, y_B: Tensor) -> Tensor:
    return nn.functional.cross_entropy(y_BK, y_B, reduction="none")
