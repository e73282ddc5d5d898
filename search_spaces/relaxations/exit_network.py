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

Once it is trained, thresholds of the exits' confidence decide where an input leaves. They are set for shares of inputs
that leave at each exit, proportional to `p^k`: the settings are those of MSDNet's evaluation, at fewer p.

Difference: losses are averaged, not summed, so that a learning rate means the same for any number of exits.
Shapes: B batch, E exits, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.conditional import run_compacted
from search_spaces.dynamic.dynamic import Observed
from search_spaces.dynamic.exit_rules import ExitRule, budget_shares, confidence, quantile_thresholds
from search_spaces.dynamic.exits import read_exits
from search_spaces.dynamic.operating_point import exit_flops, operating_point
from search_spaces.operating_points import OperatingPoint, Setting
from search_spaces.relaxations.distillation import distillation
from search_spaces.relaxations.level_heads import give_levels_heads
from search_spaces.relaxations.relaxation import Criterion
from search_spaces.values import CONFIG

BUDGETS = tuple(eighths / 8 for eighths in range(1, 16))
"""p of the settings: MSDNet's evaluation code has 1/20 to 39/20."""


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


class ExitNetwork(nn.Module):
    """A chain of one stage with a head at every exit, the last of which is at its end."""

    def __init__(
        self, space: ChainSpace, architecture: Architecture, depths: tuple[int, ...], options: ExitTraining
    ) -> None:
        super().__init__()
        assert depths[-1] == architecture.depth
        self.space = space
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

    def exit_logits(self, x_B: Tensor) -> list[Tensor]:
        """Logits `y_BK` of every exit."""
        return read_exits(self, x_B)

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The weighted mean of the losses of all exits."""
        exits = self.exit_logits(x_B)
        losses = [criterion(y_BK, y_B).mean() for y_BK in exits]
        share = self.options.distillation
        if share:
            temperature = self.temperature.clone()  # the gradient needs the one of this step
            taught = taught_losses(exits, temperature, last_only=self.options.teachers == "last")
            losses[:-1] = [(1 - share) * own + share * other for own, other in zip(losses[:-1], taught, strict=True)]
            self._soften(exits[-1].detach())
        return torch.stack([weight * loss for weight, loss in zip(self.shares, losses, strict=True)]).sum()

    def num_observations(self) -> int:
        """All thresholds look at the same logits."""
        return 1

    def observe(self, number: int, x_B: Tensor) -> Observed:
        """Logits `y_BEK` of all exits."""
        return (torch.stack(self.exit_logits(x_B), dim=1),)

    def settings(self, observed: Sequence[Observed]) -> tuple[Setting, ...]:
        """Thresholds of confidence for every budget, and those at which nothing leaves before the end.

        On few inputs, two budgets may lead to the same thresholds, of which the first stands.
        """
        ((y_BEK,),) = observed
        num_exits = len(self.depths)
        confidence_EB = confidence(y_BEK.transpose(0, 1))
        labels: dict[tuple[float, ...], str] = {}
        for p in BUDGETS:
            labels.setdefault(quantile_thresholds(confidence_EB, budget_shares(p, num_exits)), f"p={p:g}")
        labels.setdefault((math.inf,) * (num_exits - 1), "last exit")
        return tuple(
            Setting(label=label, thresholds=tuple(None if one == math.inf else one for one in thresholds))
            for thresholds, label in labels.items()
        )

    def operating_point(self, setting: Setting, observed: Sequence[Observed], y_B: Tensor) -> OperatingPoint:
        """Every input answered by the exit that it takes."""
        ((y_BEK,),) = observed
        y_EBK = y_BEK.transpose(0, 1)
        return operating_point(y_EBK, y_B, _rule(setting).exits(y_EBK), self._exit_flops)

    def run_at(self, setting: Setting, x_B: Tensor) -> Tensor:
        """Logits `y_BK` of the exit that each input takes."""
        return run_compacted(self, x_B, _rule(setting)).logits

    @cached_property
    def _exit_flops(self) -> tuple[int, ...]:
        return exit_flops(self, self.space.input_shape)

    def _read(self, depth: int, h_B: Tensor) -> Tensor:
        y_BK: Tensor = self.heads[str(depth)](h_B)
        return y_BK

    def _soften(self, teacher_BK: Tensor) -> None:
        """Raise the temperature if the teacher is too sure, without waiting for the device to say whether."""
        sureness = (teacher_BK / self.temperature).softmax(dim=-1).amax(dim=-1).mean()
        growth = torch.where(sureness > self.options.sure_above, self.options.temperature_growth, 1.0)
        self.temperature.mul_(growth)


def _rule(setting: Setting) -> ExitRule:
    thresholds = (math.inf if threshold is None else threshold for threshold in setting.thresholds)
    return ExitRule(kind="confidence", thresholds=tuple(thresholds))


def taught_losses(exits: Sequence[Tensor], temperature: Tensor, *, last_only: bool) -> list[Tensor]:
    """What each exit but the last learns from the answers of later ones, the mean over its teachers.

    `exits` are the logits `y_BK` of each. No gradient reaches a teacher.
    """
    teachers = [y_BK.detach() for y_BK in exits]
    losses = []
    for number, y_BK in enumerate(exits[:-1], start=1):
        own_teachers = teachers[-1:] if last_only else teachers[number:]
        losses.append(torch.stack([distillation(y_BK, teacher, temperature) for teacher in own_teachers]).mean())
    return losses
