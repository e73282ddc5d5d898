"""A small network that looks at an input once and says which blocks of a large one it needs.

In the paper (Wu et al., CVPR 2018, arXiv 1711.08393, section 4.1) it is a ResNet-8 beside a ResNet-110. Here it is a
short chain of the large one's own family, operation and width, with an output for every block to decide on. Images
that stay images in the chain are halved before, as in the authors' code for ImageNet: a quarter of the positions.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from search_spaces.chain import silence
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer
from search_spaces.dynamic.gates import OPEN
from search_spaces.dynamic.standardized import standardized_linear
from search_spaces.flops import level_shapes


def policy_network(space: ChainSpace, *, num_blocks: int, depth: int) -> nn.Sequential:
    """From inputs `x_B...` to scores `[B, num_blocks]`, at first all the same: every block is kept, and none for sure.

    Args:
        space: a space of one stage.
        num_blocks: how many the policy is about.
        depth: blocks of the policy network itself.
    """
    small = replace(space, num_classes=num_blocks, stages=(), depth=(depth,), width=space.all_stages()[0].width)
    chain = small.build(answer(small, {}, partial=True))
    *pool, linear = chain.head if isinstance(chain.head, nn.Sequential) else [chain.head]
    assert isinstance(linear, nn.Linear)
    chain.head = nn.Sequential(*pool, standardized_linear(linear))
    silence(chain.head)
    nn.init.constant_(linear.bias, OPEN)
    hidden_shape = level_shapes(chain, space.input_shape)[0]
    is_image = len(hidden_shape) == 3 and min(space.input_shape[1:]) > 1
    return nn.Sequential(nn.AvgPool2d(2) if is_image else nn.Identity(), chain)
