"""Transformers: encoders that classify images or vectors of features, and causal language models.

Blocks are pre-norm (Xiong et al., ICML 2020), which trains at every depth without learning rate warm-up. An image is
cut into patches (Dosovitskiy et al., ICLR 2021); of a vector every feature is a token (FT-Transformer, Gorishniy et
al., NeurIPS 2021). Both pool by the mean instead of a class token, so that a head fits on every level. A text is tokens
already; every one of them sees itself and those before it, and the head answers at every position (Radford et al.,
2018).
Shapes: B batch, T tokens, D width, N heads of width d, F features, C channels, H and W height and width, K classes,
V token ids.
"""

from __future__ import annotations

import math

import torch
from pydantic.dataclasses import dataclass as validated
from torch import Tensor, empty, nn
from torch.nn import functional as F

from search_spaces.chain import silence
from search_spaces.chain_space import Block, ChainSpace
from search_spaces.errors import InvalidInput
from search_spaces.mlp import Residual
from search_spaces.values import CONFIG

DEFAULT_PATCH_SIZE = 4
FEED_FORWARD_EXPANSION = 2
"""The usual 4 is made for widths of hundreds; small networks put the parameters better into depth."""
POSITION_STD = 0.02
"""Standard deviation of initial positional embeddings, as in ViT's code, and of those of token ids, as in GPT's."""


class PatchTokens(nn.Module):
    """One token per square patch: its pixels, linearly embedded, plus a learned position."""

    def __init__(self, input_shape: tuple[int, ...], patch_size: int, width: int) -> None:
        super().__init__()
        channels, image_height, image_width = input_shape
        num_tokens = (image_height // patch_size) * (image_width // patch_size)
        self.embed = nn.Conv2d(channels, width, patch_size, stride=patch_size)
        self.position_TD = nn.Parameter(nn.init.trunc_normal_(empty(num_tokens, width), std=POSITION_STD))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, T, D]`."""
        h_BTD: Tensor = self.embed(x_BCHW).flatten(2).transpose(1, 2)
        return h_BTD + self.position_TD


class FeatureTokens(nn.Module):
    """One token per feature: its value times a learned vector, plus a learned vector that is also its position."""

    def __init__(self, num_features: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight_FD = nn.Parameter(empty(num_features, width).uniform_(-bound, bound))
        self.bias_FD = nn.Parameter(empty(num_features, width).uniform_(-bound, bound))

    def forward(self, x_BF: Tensor) -> Tensor:
        """`[B, F]` to `[B, F, D]`."""
        return x_BF.unsqueeze(-1) * self.weight_FD + self.bias_FD


class EmbeddedTokens(nn.Module):
    """A learned vector per token id, plus a learned position."""

    def __init__(self, num_tokens: int, num_positions: int, width: int) -> None:
        super().__init__()
        self.token_VD = nn.Parameter(nn.init.normal_(empty(num_tokens, width), std=POSITION_STD))
        self.position_TD = nn.Parameter(nn.init.normal_(empty(num_positions, width), std=POSITION_STD))

    def forward(self, x_BT: Tensor) -> Tensor:
        """Token ids `[B, T]` to `[B, T, D]`."""
        # Ids are int64 already; who counts FLOPs on inputs without values does not know that.
        return F.embedding(x_BT.long(), self.token_VD) + self.position_TD


class SelfAttention(nn.Module):
    """Multi-head attention of all tokens to all tokens, or to those up to themselves: `softmax(q k^T / sqrt(d)) v`.

    The products are written out, because a ledger in FLOPs has to be the same on every device. Torch's fused kernels
    are not counted alike: that for CPUs has no formula and counts as zero, and those for GPUs compute the scores again
    in the backward pass. The price is memory for `[T, T]` scores per head, also for those that `causal` masks.
    """

    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, h_BTD: Tensor) -> Tensor:
        """`[B, T, D]` to the same shape."""
        qkv = self.project_in(h_BTD).unflatten(-1, (3, self.heads, -1))
        q_BNTd, k_BNTd, v_BNTd = qkv.permute(2, 0, 3, 1, 4)
        scores_BNTT = (q_BNTd * q_BNTd.shape[-1] ** -0.5) @ k_BNTd.transpose(-2, -1)
        if self.causal:
            is_future_TT = torch.ones_like(scores_BNTT[0, 0], dtype=torch.bool).triu(diagonal=1)
            scores_BNTT = scores_BNTT.masked_fill(is_future_TT, -math.inf)
        attended_BNTd = scores_BNTT.softmax(dim=-1) @ v_BNTd
        out_BTD: Tensor = self.project_out(attended_BNTd.transpose(1, 2).flatten(2))
        return out_BTD


class TokenPool(nn.Module):
    """Mean over the tokens."""

    def forward(self, h_BTD: Tensor) -> Tensor:
        """`[B, T, D]` to `[B, D]`."""
        return h_BTD.mean(dim=1)


@validated(frozen=True, kw_only=True, config=CONFIG)
class Transformer(ChainSpace):
    """Encoder blocks over images `[C, H, W]` or vectors `[F]`; causal ones over text, as a language model.

    - `encoder`: attention, then feed-forward, each residual.
    - `attention` and `feed_forward`: one of the two.

    `block_width` is the inner width of the feed-forward; default: twice the width.
    """

    heads: int = 4
    """Attention heads; divides every width."""
    patch_size: int | None = None
    """Side of the patches of an image in pixels; divides its height and width. Default: 4."""
    num_tokens: int = 0
    """Ids that the inputs `[T]` are made of; 0: the inputs are numbers."""

    family = "transformer"
    operations = ("encoder", "attention", "feed_forward")
    operations_without_width = ("attention",)
    default_width = 32
    tieable = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stages:
            raise InvalidInput("a transformer has no stages: give depth and width", field="stages")
        widths = self.width or (self.default_width,)
        if self.heads < 1 or any(width % self.heads for width in widths):
            raise InvalidInput(
                f"must divide every width ({', '.join(map(str, widths))}), got {self.heads}", field="heads"
            )
        match self.input_shape:
            case (_,):
                if self.patch_size is not None:
                    tokens = "a text is tokens already" if self.num_tokens else "of a vector every feature is a token"
                    raise InvalidInput(f"is for images only: {tokens}", field="patch_size")
            case (_, height, width) if not self.num_tokens:
                size = self._patch_size()
                if size < 1 or height % size or width % size:
                    raise InvalidInput(f"must divide the image's {height}x{width}, got {size}", field="patch_size")
            case _:
                shapes = "[tokens]" if self.num_tokens else "[channels, height, width] or [features]"
                raise InvalidInput(f"must be {shapes}, got {list(self.input_shape)}", field="input_shape")

    def _patch_size(self) -> int:
        return DEFAULT_PATCH_SIZE if self.patch_size is None else self.patch_size

    def make_stem(self, width: int) -> nn.Module:
        if self.num_tokens:
            return EmbeddedTokens(self.num_tokens, self.input_shape[0], width)
        if len(self.input_shape) == 1:
            return FeatureTokens(self.input_shape[0], width)
        return PatchTokens(self.input_shape, self._patch_size(), width)

    def make_block(self, block: Block) -> nn.Module:
        match block.op:
            case "attention":
                return self._attention(block)
            case "feed_forward":
                return _feed_forward(block)
            case _:
                return nn.Sequential(self._attention(block), _feed_forward(block))

    def make_head(self, width: int) -> nn.Module:
        if self.num_tokens:
            return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, self.num_classes))
        return nn.Sequential(nn.LayerNorm(width), TokenPool(), nn.Linear(width, self.num_classes))

    def make_identity(self, block: nn.Module, previous: nn.Module) -> None:
        """Every residual part of the block adds nothing."""
        for part in block.modules():
            if isinstance(part, Residual):
                silence(part.body)

    def _attention(self, block: Block) -> nn.Module:
        width = block.width_out
        attention = SelfAttention(width, self.heads, causal=self.num_tokens > 0)
        return Residual(nn.Sequential(nn.LayerNorm(width), attention))


def _feed_forward(block: Block) -> nn.Module:
    width = block.width_out
    inner = block.width or FEED_FORWARD_EXPANSION * width
    return Residual(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width)))
