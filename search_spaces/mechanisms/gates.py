"""Gates: an input skips the blocks that the gate in front of them finds it can do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer
from search_spaces.mechanisms.mechanism import has_skippable
from search_spaces.options import Several
from search_spaces.relaxations.gated_network import FEED_FORWARD, GatedNetwork, GateTraining
from search_spaces.space import Choose
from search_spaces.values import CONFIG


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Gates:
    """SkipNet's gates, one in front of every block that keeps the shape, trained in one go with the network."""

    gate: Several[Literal["recurrent", "ff1", "ff2"]] = ("recurrent",)
    """One LSTM for all blocks; or, for images, convolutions in front of each: FFGate-I, or the smaller FFGate-II."""
    alpha: Several[Annotated[float, Field(ge=0)]] = (0.05, 0.1)
    """What it is worth to skip all blocks, in nats."""
    supervised_share: Several[Annotated[float, Field(ge=0, le=1)]] = (0.865,)
    """Share of the steps before the policy gradient begins."""

    def check(self, space: ChainSpace) -> None:
        chain = answer(space, {}, partial=True)
        for gate in self.gate:
            if gate in FEED_FORWARD:
                with torch.device("meta"):  # shapes alone decide whether it can be built
                    GatedNetwork(space, chain, GateTraining(gate=gate))

    def compose(self, choose: Choose, prefix: str, space: ChainSpace, chain: Architecture) -> Mapping[str, Any] | None:
        if not has_skippable(chain):
            return None
        gate = choose(f"{prefix}gate", self.gate)
        share = choose(f"{prefix}supervised_share", self.supervised_share)
        price = {"alpha": choose(f"{prefix}alpha", self.alpha)} if share != 1 else {}
        return {"gate": gate, "supervised_share": share, **price}

    def build(self, space: ChainSpace, chain: Architecture, form: Mapping[str, Any]) -> nn.Module:
        return GatedNetwork(space, chain, GateTraining(**form))
