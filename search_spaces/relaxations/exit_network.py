"""A chain with classifiers on the way, all of which are trained together.

An input may leave at any exit that is sure enough (`search_spaces.dynamic`), so every exit has to be good: the loss is
the mean of theirs, equal or weighted (BranchyNet: Teerapittayanon et al., ICPR 2016, arXiv 1709.01686; MSDNet: Huang et
al., ICLR 2018, arXiv 1703.09844), and the early ones also learn from the answers of later ones:

    `(1 - C) CE + C tau^2 CE(softmax(teacher / tau), softmax(student / tau))`

(Phuong & Lampert, ICCV 2019), where no gradient reaches the teacher, and the last exit, which has none, learns from the
labels alone. That is `elastic` with distillation for `tau` fixed and the deepest as the only teacher, but for the
entropy of the teacher, by which a cross-entropy exceeds a divergence and which moves no weight. What it adds: every
later exit may teach; exits may weigh unequally; and `tau` grows. After each training step in which the last exit, as
softened by `tau`, gives its answers a mean probability above 1/2, `tau` is multiplied by 1.05, as in the authors' code.
So `tau` follows what the network says and not how long it is trained: it is a part of the network's state.

Once it is trained, `search_spaces.dynamic.exit_settings` says where an input leaves.

An input without a label joins the answers that exits learn, and no loss of labels: so the semi-supervised variant is
the same formula, with the mean of CE over the labelled inputs and that of the distillation over all, as in the
authors' code, which marks missing labels for `cross_entropy` to pass over.

Difference: losses are averaged, not summed, so that a learning rate means the same for any number of exits.
Shapes: B batch, E exits, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.exit_settings import ExitSettings
from search_spaces.relaxations.distillation import distillation
from search_spaces.relaxations.level_heads import give_levels_heads
from search_spaces.relaxations.relaxation import UNLABELLED, Criterion
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class ExitTraining:
    """How exits learn."""

    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Of the losses of the exits, relative to each other; empty: all alike."""
    distillation: float = Field(default=0.5, ge=0, le=1)
    """C, the share of the teachers' answers, rather than the labels, in what an exit learns."""
    teachers: Literal["last", "later"] = "last"
    """Who teaches an exit: the last exit, or all that come after it, alike."""
    temperature: float = Field(default=1.0, gt=0)
    """At which distillation begins."""
    temperature_growth: float = Field(default=1.05, ge=1)
    """Factor by which it grows after a step in which the last exit was too sure."""
    sure_above: float = Field(default=0.5, ge=0, le=1)
    """Mean probability of the last exit's answers, at the temperature of the step, above which it is too sure."""


class ExitNetwork(ExitSettings, nn.Module):
    """A chain of one stage with a head at every exit, the last of which is at its end."""

    def __init__(
        self, space: ChainSpace, architecture: Architecture, depths: tuple[int, ...], options: ExitTraining
    ) -> None:
        super().__init__()
        assert depths[-1] == architecture.depth
        self.space = space
        self.input_shape = space.input_shape
        self.depths = depths
        self.options = options
        self.chain: Chain = space.build(architecture)
        self.heads = give_levels_heads(self.chain, space, depths, width=architecture.form["stages"][0]["width"])
        weights = options.weights or (1.0,) * len(depths)
        self.shares = tuple(weight / sum(weights) for weight in weights)
        self.temperature = nn.Buffer(torch.tensor(options.temperature))

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the last exit."""
        return self._read(self.depths[-1], self.chain.hidden_states(x_B)[-1])

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The weighted mean of the losses of all exits."""
        return self.loss_of_exits(self.exit_logits(x_B), y_B, criterion)

    def loss_of_exits(
        self,
        exits: Sequence[Tensor],
        y_B: Tensor,
        criterion: Criterion,
        *,
        teachers: Sequence[Sequence[Tensor]] | None = None,
    ) -> Tensor:
        """The weighted mean of the losses of these logits `y_BK`, one tensor per classifier.

        `teachers`: logits of those of each classifier but the last; None: the later classifiers that the options name.
        """
        losses = [mean_of_labelled(criterion(y_BK, y_B), y_B) for y_BK in exits]
        share = self.options.distillation
        if share:
            temperature = self.temperature.clone()  # the gradient needs the one of this step
            teachers = teachers or later_exits(exits, last_only=self.options.teachers == "last")
            taught = taught_losses(exits[:-1], teachers, temperature)
            losses[:-1] = [(1 - share) * own + share * other for own, other in zip(losses[:-1], taught, strict=True)]
            self._soften(exits[-1].detach())
        return torch.stack([weight * loss for weight, loss in zip(self.shares, losses, strict=True)]).sum()

    def _read(self, depth: int, h_B: Tensor) -> Tensor:
        y_BK: Tensor = self.heads[str(depth)](h_B)
        return y_BK

    def _soften(self, teacher_BK: Tensor) -> None:
        """Raise the temperature if the teacher is too sure, without waiting for the device to say whether."""
        sureness = (teacher_BK / self.temperature).softmax(dim=-1).amax(dim=-1).mean()
        growth = torch.where(sureness > self.options.sure_above, self.options.temperature_growth, 1.0)
        self.temperature.mul_(growth)


def mean_of_labelled(loss_B: Tensor, y_B: Tensor) -> Tensor:
    """The mean of the losses of the examples that have a label, where those of the others are 0."""
    num_labelled = (y_B.reshape(len(y_B), -1)[:, 0] != UNLABELLED).sum()
    return loss_B.sum() / num_labelled


def later_exits(exits: Sequence[Tensor], *, last_only: bool) -> list[Sequence[Tensor]]:
    """Of the logits `y_BK` of all exits, those that each but the last can learn from."""
    return [exits[-1:] if last_only else exits[number:] for number in range(1, len(exits))]


def taught_losses(
    students: Sequence[Tensor], teachers: Sequence[Sequence[Tensor]], temperature: Tensor
) -> list[Tensor]:
    """What each student learns from its teachers, the mean over them, all by their logits `y_BK`.

    No gradient reaches a teacher.
    """
    return [
        torch.stack([distillation(student_BK, teacher_BK.detach(), temperature) for teacher_BK in of_one]).mean()
        for student_BK, of_one in zip(students, teachers, strict=True)
    ]
