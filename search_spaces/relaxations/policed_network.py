"""A chain with a policy network, which looks at an input and drops blocks of the chain for it.

BlockDrop (Wu et al., CVPR 2018). The policy network (`search_spaces.dynamic.policy_network`) decides on all blocks that
keep the shape, at once and before the first. A training has three stages, by shares of its steps:

1. Plain: the chain is trained; nothing is dropped, and the policy network does not run.
2. Policy: the chain is frozen, in evaluation mode. Policies are drawn and rewarded for dropped blocks if the answer is
   right (`search_spaces.dynamic.dropping`). Curriculum: the policy controls the last block, then more, then all.
3. Joint: the policy goes on, with a penalty of its own, and the chain learns to answer under policies.

A decision of 1 keeps a block, as the reward and the authors' code have it. Wherever `s_k` is called the likelihood of
*dropping* block k, that is a slip: `|u|_0` would count dropped blocks, and the reward would fall with every one.

Training and validation compute every block and multiply, as the authors' code does, and are charged for it, each stage
for what it computes; a trial is priced as if all of it were the third stage, the costliest.
`search_spaces.dynamic.skipping` runs the network without what it drops.

Differences: shares, learning rates, here multiples of the study's, penalties, and which policies the chain learns under
are ours, chosen on MNIST for a chain of ten blocks and a training of minutes (docs/dynamic_gates.md); the policy
network standardises its features and begins with keeping what it is not sure of (`policy_network`); the code's bonus
for entropy counts -p log p alone, so that it also pays for dropping, and for blocks outside the curriculum too; in its
joint stage the policy's loss is a sum over the batch beside a mean, which Adam does not see; the paper's first block of
a stage can be dropped, its shortcut stays.
Shapes: B batch, N blocks that can be dropped, K classes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, Self

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain
from search_spaces.chain_space import ChainSpace
from search_spaces.dynamic.dropping import bounded, entropy, num_controlled, policy_loss, reward
from search_spaces.dynamic.hard_gates import hard
from search_spaces.dynamic.policy_network import policy_network
from search_spaces.dynamic.skipping import Step, given, masked, skippable, walk
from search_spaces.dynamic.skipping_settings import Act, SkippingSettings
from search_spaces.errors import InvalidInput
from search_spaces.flops import inference_flops
from search_spaces.relaxations.relaxation import Criterion, TrainingStage
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class PolicyTraining:
    """How the chain and its policy learn."""

    plain_share: float = Field(default=0.3, ge=0, le=1)
    """Share of the steps that train the chain alone."""
    policy_share: float = Field(default=0.25, ge=0, le=1)
    """Share of the steps that train the policy alone; what is left trains both."""
    curriculum_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the policy's own stage after which it controls all blocks; 0: from the start."""
    policy_depth: int = Field(default=1, ge=0)
    """Blocks of the policy network."""
    alpha: float = Field(default=0.8, ge=0.5, le=1)
    """Policies are drawn with probability alpha s + (1 - alpha) (1 - s) to keep a block; 1: with s itself."""
    policy_penalty: float = Field(default=0.5, ge=0)
    """Gamma, minus the reward of a wrong answer, while the policy is trained alone; in the authors' code 1."""
    joint_penalty: float = Field(default=0.5, ge=0)
    """Gamma while both are trained; in the authors' code 10, at which a short chain drops nothing more."""
    entropy_weight: float = Field(default=0.1, ge=0)
    """Bonus per nat of each decision's entropy while the policy is trained alone."""
    joint_learning_rate: float = Field(default=0.5, gt=0)
    """Peak of both while both are trained, as a multiple of what they have before."""
    chain_learns: Literal["drawn", "used"] = "used"
    """Policies under which the chain learns while both are trained: those that are drawn, as in the paper, or the ones
    that are used after training, which policies that are not sure yet seldom draw. Rewards are of what is drawn."""

    def __post_init__(self) -> None:
        if self.plain_share + self.policy_share > 1:
            raise InvalidInput(
                f"must be at most 1 together with plain_share, got {self.policy_share} + {self.plain_share}",
                field="policy_share",
            )


class Stage(IntEnum):
    """Of a trial."""

    PLAIN = 0
    POLICY = 1
    JOINT = 2


class PolicedNetwork(SkippingSettings, nn.Module):
    """A chain of one stage with a policy network. As it is built, the policy is in control of all blocks."""

    def __init__(self, space: ChainSpace, architecture: Architecture, options: PolicyTraining) -> None:
        nn.Module.__init__(self)
        self.space = space
        self.options = options
        self.chain: Chain = space.build(architecture)
        self.blocks = skippable(self.chain, space.input_shape)
        self.policy = policy_network(space, num_blocks=len(self.blocks), depth=options.policy_depth)
        self.stage = Stage.JOINT
        self.controlled_N = nn.Buffer(torch.ones(len(self.blocks)))
        """1 for blocks that the policy decides on, 0 for those that are kept anyway."""

    def forward(self, x_B: Tensor) -> Tensor:
        """Logits `y_BK` under the policy that is the more probable one, block by block."""
        return self.answer(x_B, hard, step=masked)[0]

    def answer(self, x_B: Tensor, act: Act, *, step: Step) -> tuple[Tensor, Tensor]:
        """As long as the policy controls nothing, nobody asks it."""
        if self.stage is Stage.PLAIN:
            y_BK: Tensor = self.chain(x_B)
            return y_BK, self.controlled_N.new_ones(len(x_B), len(self.blocks))
        u_BN = self._under_control(act(self.scores(x_B)))
        return self.run(x_B, u_BN, step=step), u_BN

    def decision_flops(self) -> int:
        return 0 if self.stage is Stage.PLAIN else inference_flops(self.policy, self.space.input_shape)

    def objective(self, x_B: Tensor, y_B: Tensor, criterion: Criterion) -> Tensor:
        """The loss, minus the reward, or both, whichever the stage is about."""
        if self.stage is Stage.PLAIN:
            return criterion(self.chain(x_B), y_B).mean()
        options, s_BN = self.options, self.scores(x_B)
        is_joint = self.stage is Stage.JOINT
        p_BN = bounded(s_BN.sigmoid(), options.alpha)
        drawn_BN, used_BN = self._under_control(torch.bernoulli(p_BN.detach())), self.decide(s_BN)
        y_drawn_BK = self._tried(x_B, drawn_BN, learns=is_joint and options.chain_learns == "drawn")
        y_used_BK = self._tried(x_B, used_BN, learns=is_joint and options.chain_learns == "used")
        penalty = options.joint_penalty if is_joint else options.policy_penalty
        reward_B = reward(drawn_BN, y_drawn_BK.argmax(dim=1) == y_B, penalty)
        advantage_B = reward_B - reward(used_BN, y_used_BK.argmax(dim=1) == y_B, penalty)
        loss_B = policy_loss(p_BN, drawn_BN, advantage_B, self.controlled_N) - reward_B
        if is_joint:
            return (loss_B + criterion(y_drawn_BK if options.chain_learns == "drawn" else y_used_BK, y_B)).mean()
        entropy_B = (entropy(s_BN) * self.controlled_N).sum(dim=1)
        return (loss_B - options.entropy_weight * entropy_B).mean()

    def scores(self, x_B: Tensor) -> Tensor:
        """Log-odds `[B, N]` that blocks are kept."""
        s_BN: Tensor = self.policy(x_B)
        return s_BN.to(torch.promote_types(s_BN.dtype, torch.float32))

    def decide(self, s_BN: Tensor) -> Tensor:
        """The policy that is used after training, `[B, N]`: 1 keeps a block, 0 drops it."""
        return self._under_control(hard(s_BN))

    def run(self, x_B: Tensor, u_BN: Tensor, *, step: Step = masked) -> Tensor:
        """Logits `y_BK` of the chain under a policy."""
        return walk(self.chain, x_B, given(u_BN), blocks=self.blocks, step=step)[0]

    def _tried(self, x_B: Tensor, u_BN: Tensor, *, learns: bool) -> Tensor:
        """Logits `y_BK`; what the chain does not learn from leaves its batch statistics alone, too."""
        self.chain.train(learns and self.training)
        with torch.set_grad_enabled(learns):
            y_BK = self.run(x_B, u_BN)
        self._set_modes()
        return y_BK

    def stages(self) -> tuple[TrainingStage, ...]:
        """Plain, policy, joint."""
        options = self.options
        joint_begins = options.plain_share + options.policy_share
        return (
            TrainingStage(begins=0.0),
            TrainingStage(begins=options.plain_share),
            TrainingStage(begins=joint_begins, learning_rate=options.joint_learning_rate),
        )

    def begin_stage(self, number: int) -> None:
        """Hand over no block, at least the last one, or all."""
        self.stage = Stage(number)
        if self.stage is Stage.PLAIN:
            self.controlled_N.zero_()
        elif self.stage is Stage.POLICY:
            self.controlled_N[-1] = 1
        else:
            self.controlled_N.fill_(1)
        self._set_modes()

    def anneal(self, progress: float) -> None:
        """Go on in the curriculum."""
        if self.stage is not Stage.POLICY:
            return
        length = self.options.curriculum_share * self.options.policy_share
        done = (progress - self.options.plain_share) / length if length else 1.0
        self.controlled_N.zero_()
        self.controlled_N[-num_controlled(done, len(self.blocks)) :] = 1

    def size(self) -> int:
        """The stage: each computes something else."""
        return self.stage

    def grow_fully(self) -> None:
        """Take the stage that costs most."""
        self.begin_stage(Stage.JOINT)

    def train(self, mode: bool = True) -> Self:
        """A frozen chain stays in evaluation mode."""
        super().train(mode)
        self._set_modes()
        return self

    def _set_modes(self) -> None:
        self.chain.train(self.training and self.stage is not Stage.POLICY)

    def _under_control(self, u_BN: Tensor) -> Tensor:
        """Keep the blocks that the policy does not control."""
        return u_BN * self.controlled_N + (1 - self.controlled_N)
