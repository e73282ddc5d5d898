"""A policy: a small network looks at an input first and says which blocks of the chain it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.chain_space import ChainSpace
from search_spaces.mechanisms.mechanism import has_skippable
from search_spaces.options import Several
from search_spaces.relaxations.policed_network import PolicedNetwork, PolicyTraining
from search_spaces.space import Choose
from search_spaces.values import CONFIG


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Policy:
    """BlockDrop's policy network beside the chain, both trained in one go, in its stages."""

    policy_depth: Several[Annotated[int, Field(ge=0)]] = (1,)
    """Blocks of the policy network."""
    policy_penalty: Several[Annotated[float, Field(ge=0)]] = (0.5, 2.0)
    """Minus the reward of a wrong answer while the policy is trained alone: the greater, the more blocks are kept."""
    joint_penalty: Several[Annotated[float, Field(ge=0)]] = (0.5,)
    """The same while both are trained."""

    def check(self, space: ChainSpace) -> None:
        """Every chain of one stage can have it."""

    def compose(self, choose: Choose, prefix: str, space: ChainSpace, chain: Architecture) -> Mapping[str, Any] | None:
        if not has_skippable(chain):
            return None
        names = ("policy_depth", "policy_penalty", "joint_penalty")
        return {name: choose(f"{prefix}{name}", getattr(self, name)) for name in names}

    def build(self, space: ChainSpace, chain: Architecture, form: Mapping[str, Any]) -> nn.Module:
        return PolicedNetwork(space, chain, PolicyTraining(**form))
