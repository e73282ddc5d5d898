"""The registry of chain families."""

from __future__ import annotations

from search_spaces.cell import Cell
from search_spaces.chain_space import ChainSpace
from search_spaces.mlp import Mlp
from search_spaces.mobile import Mobile
from search_spaces.resnet import Resnet
from search_spaces.transformer import Transformer

CHAINS: dict[str, type[ChainSpace]] = {
    "mlp": Mlp,
    "resnet": Resnet,
    "mobile": Mobile,
    "transformer": Transformer,
    "cell": Cell,
}
"""By the name that a study file uses. Adding one is one file and one line here; each is a search space, too."""
