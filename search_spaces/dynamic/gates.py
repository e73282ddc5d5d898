"""SkipNet's gates (Wang et al., ECCV 2018, arXiv 1711.09485, section 3): what decides whether an input skips a block.

A gate reads the input of its block. It says a score `s_B`, the log-odds that the block is executed, `S = sigmoid(s)`.

- FFGate-I: 2x2 max pooling, a 3x3 convolution, another of stride 2, global average pooling, a linear layer to 2.
- FFGate-II: a single 3x3 convolution of stride 2, global average pooling, a linear layer to 2. For deep networks.
- The recurrent gate: global average pooling, a 1x1 convolution to 10, an LSTM(10), a linear layer to 1.

Convolutions are followed by batch normalisation and ReLU, as in the authors' code. The LSTM and what reads it are
shared by all blocks; every block has its own map to 10, as there. Pooling is over whatever a hidden state has besides
batch and width, so the recurrent gate works for vectors and tokens, too. Unlike in the paper, what is pooled is
standardised over inputs (`search_spaces.dynamic.standardized` says why).

FLOPs as a share of a block of two 3x3 convolutions: the paper says 19 %, 12.5 % and 0.04 %. Counted, FFGate-I has 5/32
= 15.6 %, since its convolutions see 1/4 and 1/16 of the positions; FFGate-II has 12.5 %; the recurrent gate has 0.02 %
to 0.03 % in the networks for 32x32 images.
Shapes: B batch, C channels, H and W height and width, T tokens, D width.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from search_spaces.dynamic.standardized import standardized_linear
from search_spaces.image import conv_bn, pooled_linear

GATE_WIDTH = 10
"""Of the recurrent gate's embedding and of its LSTM (Wang et al. 2018, section 3)."""

OPEN = 1.0
"""Score that gates begin with, about: a network of closed gates, which random ones may be, has little to learn from.
(Veit & Belongie, ECCV 2018, begin with blocks that are mostly executed, too.)"""

Memory = tuple[Tensor, Tensor]
"""Hidden and cell state `[B, 10]` of the LSTM."""


class Gates(nn.Module):
    """The gates of the skippable blocks of a chain."""

    @abstractmethod
    def forward(self, place: int, h_B: Tensor, memory: Memory | None) -> tuple[Tensor, Memory | None]:
        """The gate in front of a block.

        Args:
            place: of the block among the skippable ones, from 0.
            h_B: its input, `[B, ...]`.
            memory: what the gate before it returned; None at the first.

        Returns:
            scores `s_B`, `[B]`, and what the next gate remembers.
        """


class FeedForwardGates(Gates):
    """A network of its own in front of every block, for images."""

    def __init__(self, gates: list[nn.Sequential]) -> None:
        super().__init__()
        self.gates = nn.ModuleList(gates)

    def forward(self, place: int, h_B: Tensor, memory: Memory | None) -> tuple[Tensor, Memory | None]:
        """The log-odds of a softmax over two outputs are their difference."""
        skip_B, execute_B = self.gates[place](h_B).unbind(dim=1)
        return execute_B - skip_B, None


class RecurrentGates(Gates):
    """One LSTM that looks at the blocks in turn."""

    def __init__(self, width: int, num_gates: int) -> None:
        super().__init__()
        self.embed = nn.ModuleList(standardized_linear(nn.Linear(width, GATE_WIDTH)) for _ in range(num_gates))
        # A cell, step by step: torch's counter sees its products, and not those of the fused `nn.LSTM`.
        self.lstm = nn.LSTMCell(GATE_WIDTH, GATE_WIDTH)
        self.score = nn.Linear(GATE_WIDTH, 1)
        nn.init.constant_(self.score.bias, OPEN)

    def forward(self, place: int, h_B: Tensor, memory: Memory | None) -> tuple[Tensor, Memory | None]:
        """A 1x1 convolution of what is pooled to one position is a linear layer."""
        memory = self.lstm(self.embed[place](pooled(h_B)), memory)
        return self.score(memory[0]).squeeze(1), memory


def ff_gate_1(channels: int) -> nn.Sequential:
    """FFGate-I: `[B, C, H, W]`, at least 2x2, to `[B, 2]`."""
    return nn.Sequential(
        nn.MaxPool2d(2),
        *(conv_bn(channels, channels, 3), nn.ReLU()),
        *(conv_bn(channels, channels, 3, stride=2), nn.ReLU()),
        skip_or_execute(channels),
    )


def ff_gate_2(channels: int) -> nn.Sequential:
    """FFGate-II: `[B, C, H, W]` to `[B, 2]`."""
    return nn.Sequential(conv_bn(channels, channels, 3, stride=2), nn.ReLU(), skip_or_execute(channels))


@torch.no_grad()
def skip_or_execute(channels: int) -> nn.Sequential:
    """The end of a feed-forward gate: `[B, C, H, W]` to its two outputs, of which the second begins ahead."""
    *pool, linear = pooled_linear(channels, 2)
    assert isinstance(linear, nn.Linear)
    nn.init.zeros_(linear.bias)
    linear.bias[1] = OPEN
    return nn.Sequential(*pool, standardized_linear(linear))


def pooled(h_B: Tensor) -> Tensor:
    """Means `[B, D]` over all inner dimensions. Width comes first in images `[B, C, H, W]`, else last, `[B, T, D]`."""
    if h_B.dim() == 4:
        return h_B.mean(dim=(2, 3))
    return h_B.flatten(1, -2).mean(dim=1) if h_B.dim() > 2 else h_B
