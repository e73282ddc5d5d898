"""A family of chains whose outputs can be worked out in the head."""

from pydantic.dataclasses import dataclass as validated
from torch import nn

from search_spaces.chain_space import Block, ChainSpace
from search_spaces.values import CONFIG


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, h):
        return self.factor * h


@validated(frozen=True, kw_only=True, config=CONFIG)
class Scaling(ChainSpace):
    """Blocks that multiply by a number; stem and head do nothing."""

    family = "scaling"
    operations = ("double", "triple", "keep")
    default_width = 1

    def make_stem(self, width: int) -> nn.Module:
        return nn.Identity()

    def make_block(self, block: Block) -> nn.Module:
        return Times({"double": 2.0, "triple": 3.0, "keep": 1.0}[block.op])

    def make_head(self, width: int) -> nn.Module:
        return nn.Identity()


def scaling(**fields) -> Scaling:
    return Scaling(input_shape=(1,), num_classes=1, **fields)
