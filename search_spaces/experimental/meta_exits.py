"""Exits from one classifier that was trained to become any of them in a few steps.

Idea, without a recipe: "in the meta-learning formulation use each auxiliary classifier as a task", where "the meta-task
would be [to] learn parameters which quickly generalize to each early exit". Published is MAML in its first-order form
(Finn, Abbeel & Levine, ICML 2017, arXiv 1703.03400, section 5.2), and that the inner loop may move the head alone
(Raghu et al., ICLR 2020, arXiv 1909.09157, "ANIL").

Our reading, in the words of the latter, is first-order ANIL over exits. Task m is to classify from the hidden state of
exit m. All tasks share one classifier w and the chain. A step halves its batch. From the first half, the support, each
task takes a copy of w a few gradient steps away, `w_m <- w_m - alpha grad L_support(w_m; h_m)`; the second half, the
query, says how good that is, and w and the chain move along the mean over tasks of

    `grad L_query(w_m; h_m)`, taken at `w_m` as if `w_m - w` were a constant,

which is what first order means. No gradient of the support's loss reaches the chain. Not the whole parameter space is
shared between tasks, which the idea calls an issue: a task's features are its own.

A trial has two stages. After the first, w and the chain stay as they are, and every exit learns its difference to w,
from whole batches and by the study's optimizer: so an exit's head is `w + d_m`, and d_m starts at zero.
A trial is priced as if all of its steps were the costliest.
Shapes: B batch, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn
from torch.func import functional_call

from search_spaces.chain_space import ChainSpace
from search_spaces.relaxations.multi_exit import MultiExit, MultiExitNetwork, exits_of
from search_spaces.relaxations.relaxation import Criterion, TrainingStage
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

Weights = Mapping[str, Tensor]
"""Of a classifier, by their names in it."""


@validated(frozen=True, kw_only=True, config=CONFIG)
class MetaExits:
    """Trains a chain and a classifier that a few steps make the head of any exit, then every exit's head."""

    exits: tuple[int, ...] = ()
    """Depths with a classifier, ascending, among those of the space; empty: all of them."""
    inner_steps: int = Field(default=1, ge=0)
    """Gradient steps from the shared classifier to an exit's; 0, a control: one classifier has to fit all exits."""
    inner_learning_rate: float = Field(default=0.1, gt=0)
    """Alpha, of these steps."""
    meta_share: float = Field(default=0.8, gt=0, lt=1)
    """Share of the steps that train the chain and the shared classifier; the rest trains heads alone."""

    recipe = "standard"

    def recipe_options(self) -> Mapping[str, object]:
        return {}

    def check(self, space: SearchSpace) -> None:
        exits_of(space, self.exits, method="meta_exits")

    def supernet(self, space: SearchSpace) -> nn.Module:
        return MetaNetwork(*exits_of(space, self.exits, method="meta_exits"), self)


class Adapted(nn.Module):
    """A classifier whose weights differ from the shared ones by what it has learned itself."""

    def __init__(self, shared: nn.Module) -> None:
        super().__init__()
        self.shared = shared
        self.differences = nn.ParameterDict(
            {_key(name): torch.zeros_like(weight) for name, weight in shared.named_parameters()}
        )

    def forward(self, h_B: Tensor) -> Tensor:
        """A hidden state to logits `y_BK`."""
        weights = {name: weight + self.differences[_key(name)] for name, weight in self.shared.named_parameters()}
        return classify(self.shared, weights, h_B)


class MetaNetwork(MultiExitNetwork):
    """A chain with one classifier, and what tells its copies apart."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: MetaExits) -> None:
        super().__init__(space, depths, MultiExit(distillation=0.0))
        self.learning = options
        self.shared = self.heads[str(depths[-1])]
        self.heads = nn.ModuleDict({str(depth): Adapted(self.shared) for depth in depths})
        self.is_adapting = False

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The mean over exits of the query's loss, or of the plain loss once the chain is trained."""
        if self.is_adapting:
            with torch.no_grad():
                states = self.chain.hidden_states(x_B)
            return self.loss_of_exits([self._read(depth, states[depth]) for depth in self.depths], y_B, criterion)
        states = self.chain.hidden_states(x_B)
        half = (len(y_B) + 1) // 2 if self.learning.inner_steps else 0  # nothing to adapt to, all to learn from
        losses = []
        for depth in self.depths:
            support, query = states[depth][:half].detach(), states[depth][half:]
            adapted = self.adapt(dict(self.shared.named_parameters()), support, y_B[:half], criterion)
            losses.append(criterion(classify(self.shared, adapted, query), y_B[half:]).mean())
        return torch.stack(losses).mean()

    def adapt(self, weights: Weights, h_B: Tensor, y_B: Tensor, criterion: Criterion) -> Weights:
        """The weights after the inner steps. As a function of those before, it is a shift by a constant."""
        for _ in range(self.learning.inner_steps):
            loss = criterion(classify(self.shared, weights, h_B), y_B).mean()
            gradients = torch.autograd.grad(loss, list(weights.values()))
            moves = (self.learning.inner_learning_rate * gradient for gradient in gradients)
            weights = {name: weight - move for (name, weight), move in zip(weights.items(), moves, strict=True)}
        return weights

    def stages(self) -> tuple[TrainingStage, ...]:
        """What is shared, then what is not."""
        return (TrainingStage(begins=0.0), TrainingStage(begins=self.learning.meta_share))

    def begin_stage(self, number: int) -> None:
        """Let the shared weights learn, or the differences."""
        self.is_adapting = number == 1
        self.requires_grad_(self.is_adapting)
        for part in (self.chain, self.shared):
            part.requires_grad_(not self.is_adapting)
        self.train(self.training)

    def size(self) -> int:
        """The stage: each computes something else."""
        return int(self.is_adapting)

    def grow_fully(self) -> None:
        """Take the first stage, which trains the chain, too."""
        self.begin_stage(0)

    def train(self, mode: bool = True) -> MetaNetwork:
        """A chain that is finished stays in evaluation mode."""
        super().train(mode)
        self.chain.train(mode and not self.is_adapting)
        return self


def classify(classifier: nn.Module, weights: Weights, h_B: Tensor) -> Tensor:
    """Logits `y_BK` of a classifier with other weights."""
    y_BK: Tensor = functional_call(classifier, dict(weights), (h_B,))
    return y_BK


def _key(name: str) -> str:
    """A name without the dots that are reserved for modules."""
    return name.replace(".", "_")
