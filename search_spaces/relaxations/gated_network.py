"""A chain in which every input skips the blocks that a gate in front of them finds it can do without.

Every block that keeps the shape has a gate: `x_{i+1} = G_i F_i(x_i) + (1 - G_i) x_i` (Wang et al., ECCV 2018, arXiv
1711.09485). A training has stages, by shares of its steps, each with a schedule of its own:

1. Plain, if asked for: the chain is trained without gates. The paper, whose trainings are longer, does not.
2. Supervised: gates are hard in the forward pass and soft in the backward pass; the loss alone moves them.
3. Hybrid reinforcement learning: gates are drawn, and a policy gradient trades the loss for skipped blocks.
4. Settled, if asked for: the chain learns to answer under the policy that is used, whose gates stay as they are. Gates
   that are not sure yet are drawn otherwise than they are used, which a paper's 10,000 steps have time to mend.

With `supervised_share` 0 the policy gradient starts from scratch, with 1 there is none; with soft gates in training,
only validation makes them hard. The paper runs all three as controls.

Training and validation compute every block and multiply, as the authors' code does, and are charged for it: all steps
with gates that learn cost the same, which is what a trial is priced at. `search_spaces.dynamic.skipping` runs the
network without what it skips. Once it is trained, blocks are executed from a probability of 1/2 on.

Differences: the paper's first block has no gate; its last stage has a constant learning rate of 1e-4, a thousandth of
the one before, here it has the study's schedule once more; gates see standardised features (`search_spaces.dynamic`).
Shapes: B batch, N gates, K classes.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.gates import FeedForwardGates, Gates, RecurrentGates, ff_gate_1, ff_gate_2
from search_spaces.dynamic.hard_gates import gumbel, hard, hybrid_loss, log_probability, savings, straight_through
from search_spaces.dynamic.skipping import Step, masked, skippable, walk
from search_spaces.dynamic.skipping_settings import Act, SkippingSettings
from search_spaces.errors import InvalidInput
from search_spaces.flops import inference_flops, level_shapes
from search_spaces.relaxations.relaxation import Criterion, TrainingStage
from search_spaces.values import CONFIG

SUPERVISED: dict[str, Act] = {"straight_through": straight_through, "soft": torch.sigmoid, "gumbel": gumbel}
"""Gates of the supervised stage."""
FEED_FORWARD = {"ff1": ff_gate_1, "ff2": ff_gate_2}
SMALLEST_IMAGE = {"ff1": 2, "ff2": 1}
"""Side in pixels: FFGate-I begins with a pooling of 2x2."""


@validated(frozen=True, kw_only=True, config=CONFIG)
class GateTraining:
    """Which gates, and how they learn."""

    gate: Literal["recurrent", "ff1", "ff2"] = "recurrent"
    """One LSTM for all blocks; or, for images, convolutions in front of each: FFGate-I, or the smaller FFGate-II."""
    plain_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the steps before there are gates, which train the chain alone; 0: none, as in the paper."""
    supervised_share: float = Field(default=0.865, ge=0, le=1)
    """Share of the steps in the supervised stage, in the paper 64k of 74k, which leaves a short trial too few to learn
    what to skip; 0: policy gradient alone; 1: none."""
    supervised_gate: Literal["straight_through", "soft", "gumbel"] = "straight_through"
    """Gates of that stage. Gumbel: drawn, with a gradient through the noise, and paid for skipping already."""
    reinforcement_learning_rate: float = Field(default=1.0, gt=0)
    """Peak learning rate from the policy gradient's stage on, as a multiple of the study's."""
    settled_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the steps, the last ones, in which gates decide as they do in use, and the chain alone learns; 0: none,
    as in the paper."""
    alpha: float = Field(default=0.1, ge=0)
    """What it is worth to skip all blocks, in nats; as in the authors' code."""
    beta: float = Field(default=1.0, ge=0)
    """Weight of the loss in the rewards of the policy gradient."""

    def __post_init__(self) -> None:
        shares = (self.plain_share, self.supervised_share, self.settled_share)
        if math.fsum(shares) > 1:
            raise InvalidInput(
                f"must be at most 1 with plain_share and settled_share, got {' + '.join(map(str, shares))}",
                field="supervised_share",
            )


class Stage(IntEnum):
    """Of a training."""

    PLAIN = 0
    SUPERVISED = 1
    REINFORCED = 2
    SETTLED = 3


class GatedNetwork(SkippingSettings, nn.Module):
    """A chain of one stage with gates."""

    def __init__(self, space: ChainSpace, architecture: Architecture, options: GateTraining) -> None:
        nn.Module.__init__(self)
        self.space = space
        self.options = options
        self.chain: Chain = space.build(architecture)
        self.blocks = skippable(self.chain, space.input_shape)
        self.gates = self._make_gates(architecture.form["stages"][0]["width"])
        self.stage = Stage.SUPERVISED

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` under the hard policy."""
        return self.walk(x_B, hard)[0]

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The loss, or, once gates are drawn, what is left of it after what skipping is worth."""
        if self.stage is Stage.PLAIN:
            return criterion(self.chain(x_B), y_B).mean()
        if self.stage is Stage.SETTLED:
            return criterion(self(x_B), y_B).mean()
        if self.stage is Stage.SUPERVISED:
            y_BK, _, g_BN = self.walk(x_B, SUPERVISED[self.options.supervised_gate])
            loss_B = criterion(y_BK, y_B)
            if self.options.supervised_gate == "gumbel":
                loss_B = loss_B - savings(g_BN, self.options.alpha).sum(dim=1)
            return loss_B.mean()
        y_BK, s_BN, g_BN = self.walk(x_B, lambda s_B: torch.bernoulli(s_B.detach().sigmoid()))
        return self.hybrid_objective(criterion(y_BK, y_B), s_BN, g_BN)

    def hybrid_objective(self, loss_B: Tensor, s_BN: Tensor, g_BN: Tensor) -> Tensor:
        """The last stage's, a scalar, of gates that were drawn."""
        log_p_BN = log_probability(s_BN, g_BN)
        return hybrid_loss(loss_B, log_p_BN, g_BN, alpha=self.options.alpha, beta=self.options.beta).mean()

    def walk(self, x_B: Tensor, act: Act, *, step: Step = masked) -> tuple[Tensor, Tensor, Tensor]:
        """Logits `y_BK`, scores `s_BN` and gates `g_BN`. If those are 0 and 1, a step may be `compacted`."""
        scores: list[Tensor] = []
        memory = None

        def decide(place: int, h_B: Tensor) -> Tensor:
            nonlocal memory
            s_B, memory = self.gates(place, h_B, memory)
            scores.append(s_B.to(torch.promote_types(s_B.dtype, torch.float32)))
            return act(scores[-1])

        y_BK, gates = walk(self.chain, x_B, decide, blocks=self.blocks, step=step)
        return y_BK, torch.stack(scores, dim=1), torch.stack(gates, dim=1)

    def stages(self) -> tuple[TrainingStage, ...]:
        """Plain, supervised, hybrid reinforcement learning, settled."""
        options = self.options
        settled = 1 - options.settled_share
        reinforced = min(options.plain_share + options.supervised_share, settled)
        return (
            TrainingStage(begins=0.0),
            TrainingStage(begins=options.plain_share),
            TrainingStage(begins=reinforced, learning_rate=options.reinforcement_learning_rate),
            TrainingStage(begins=settled, learning_rate=options.reinforcement_learning_rate),
        )

    def begin_stage(self, number: int) -> None:
        """First without gates, then with trained ones, then with drawn ones, last with those that are used."""
        self.stage = Stage(number)

    def size(self) -> int:
        """The stage: without gates and without their gradients it costs less; two stages cost the same."""
        return Stage.SUPERVISED if self.stage is Stage.REINFORCED else self.stage

    def grow_fully(self) -> None:
        """Take a stage with gates that learn."""
        self.begin_stage(Stage.SUPERVISED)

    def answer(self, x_B: Tensor, act: Act, *, step: Step) -> tuple[Tensor, Tensor]:
        y_BK, _, g_BN = self.walk(x_B, act, step=step)
        return y_BK, g_BN

    def decision_flops(self) -> int:
        shape = self.space.input_shape
        return inference_flops(self, shape) - inference_flops(self.chain, shape)

    def _make_gates(self, width: int) -> Gates:
        kind, num_gates = self.options.gate, len(self.blocks)
        if kind == "recurrent":
            return RecurrentGates(width, num_gates)
        shape, smallest = level_shapes(self.chain, self.space.input_shape)[-1], SMALLEST_IMAGE[kind]
        if len(shape) != 3 or min(shape[1:]) < smallest:
            raise InvalidInput(
                f"{kind} needs hidden states that are images of at least {smallest}x{smallest}, got {list(shape)}",
                field="gate",
            )
        return FeedForwardGates([FEED_FORWARD[kind](width) for _ in range(num_gates)])
