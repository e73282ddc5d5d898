"""Early exits taught by a twin that attends to later layers, and that is pruned away when it has taught.

Idea, without a recipe: "build early exit models with connections to later layers and then prune them before test";
attention on later layers "is not available during inference", so "distill it into the parallel auxiliary classifier".
Published are the parts: scaled dot-product attention (Vaswani et al., NeurIPS 2017, arXiv 1706.03762, equation 1), and
distillation with a temperature, as in `multi_exit`.

Our reading: an early exit m has a twin, there for training alone. With features `f`, means over positions of what the
chain's exits read, the twin asks the exits after m, and answers from what it is told:

    `a_l = softmax_l(<Q f_m, K f_l> / sqrt(D))`, `l > m`;    `twin = W (f_m + sum_l a_l V f_l)`

It learns from labels. The exit itself learns as in `multi_exit`, with the twin, not a later exit, as its teacher:
`(1 - C) CE + C tau^2 KL(twin || exit)`. Features go to twins without a gradient, so that the chain is trained by what
will be there at the end, and by nothing else. `pruned` is the network without twins; inference never computes them.
Shapes: B batch, D width, L later exits, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.gates import pooled
from search_spaces.errors import InvalidInput
from search_spaces.flops import level_shapes
from search_spaces.relaxations.exit_network import mean_of_labelled
from search_spaces.relaxations.multi_exit import MultiExit, MultiExitNetwork, exits_of
from search_spaces.relaxations.relaxation import Criterion
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class AttentiveExits:
    """Trains classifiers at several depths of a chain, with twins that attend to later ones as teachers."""

    exits: tuple[int, ...] = ()
    """Depths with a classifier, ascending, among those of the space; empty: all of them."""
    distillation: float = Field(default=0.5, ge=0, le=1)
    """C, the share of the twin's answers, rather than the labels, in what an exit learns."""
    temperature: float = Field(default=1.0, gt=0)
    """At which distillation begins; it grows as in `multi_exit`."""
    unlabelled: float = Field(default=1.0, ge=0)
    """Inputs without a label for every labelled one of a batch, where the task has such: they join the distillation."""

    recipe = "standard"
    inheritable = True

    def recipe_options(self) -> Mapping[str, object]:
        return {}

    def check(self, space: SearchSpace) -> None:
        exits_of(space, self.exits, method="attentive_exits")
        if getattr(space, "num_tokens", 0):
            raise InvalidInput("attentive_exits attends to one feature vector per input, a text has one per token")

    def supernet(self, space: SearchSpace) -> nn.Module:
        self.check(space)
        learning = MultiExit(distillation=self.distillation, temperature=self.temperature, unlabelled=self.unlabelled)
        return AttentiveNetwork(*exits_of(space, self.exits, method="attentive_exits"), learning)


class Twin(nn.Module):
    """A classifier that attends to later exits."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, own_BD: Tensor, later_BLD: Tensor) -> Tensor:
        """Features of the exit and of those after it to logits `y_BK`."""
        y_BK: Tensor = self.classifier(own_BD + self.attend(own_BD, later_BLD))
        return y_BK

    def attend(self, own_BD: Tensor, later_BLD: Tensor) -> Tensor:
        """What the exit is told, `[B, D]`."""
        scores_BL = (self.key(later_BLD) @ self.query(own_BD).unsqueeze(2)).squeeze(2)
        weights_BL = (scores_BL / own_BD.shape[1] ** 0.5).softmax(dim=1)
        told_BD: Tensor = (weights_BL.unsqueeze(1) @ self.value(later_BLD)).squeeze(1)
        return told_BD


class AttentiveNetwork(MultiExitNetwork):
    """Exits, and twins beside them."""

    def __init__(self, space: ChainSpace, depths: tuple[int, ...], options: MultiExit) -> None:
        super().__init__(space, depths, options)
        shape = level_shapes(self.chain, space.input_shape)[-1]
        width = shape[0] if len(shape) == 3 else shape[-1]
        self.learning = options
        self.twins = nn.ModuleDict({str(depth): Twin(width, space.num_classes) for depth in depths[:-1]})

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The weighted mean of the losses of all exits, and the mean loss of twins, which moves nothing but twins."""
        states = self.chain.hidden_states(x_B)
        exits = [self._read(depth, states[depth]) for depth in self.depths]
        twins = self.answers_of_twins([pooled(states[depth]).detach() for depth in self.depths])
        of_twins = [mean_of_labelled(criterion(twin_BK, y_B), y_B) for twin_BK in twins]
        of_exits = self.loss_of_exits(exits, y_B, criterion, teachers=[[twin_BK] for twin_BK in twins])
        return of_exits + torch.stack(of_twins).mean()

    def answers_of_twins(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits `y_BK` of the twin of each exit but the last; `features` `[B, D]` are those of all exits."""
        return [
            twin(features[number], torch.stack(list(features[number + 1 :]), dim=1))
            for number, twin in enumerate(self.twins.values())
        ]

    def pruned(self) -> MultiExitNetwork:
        """What is left when the twins are cut off: a network of exits, with these very weights."""
        network = MultiExitNetwork(self.space, self.depths, self.learning)
        network.load_state_dict(
            {name: value for name, value in self.state_dict().items() if not name.startswith("twins.")}
        )
        return network
