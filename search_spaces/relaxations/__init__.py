"""Supernets with a continuous architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.errors import InvalidInput
from search_spaces.registry import resolve
from search_spaces.relaxations.blockdrop import BlockDrop
from search_spaces.relaxations.byot import Byot
from search_spaces.relaxations.darts import Darts
from search_spaces.relaxations.depth_posterior import DepthPosterior
from search_spaces.relaxations.distilled import Distilled
from search_spaces.relaxations.elastic import Elastic
from search_spaces.relaxations.ensemble import Ensemble
from search_spaces.relaxations.halting import Halting
from search_spaces.relaxations.layer_fusion import LayerFusion
from search_spaces.relaxations.layer_select import LayerSelect
from search_spaces.relaxations.multi_exit import MultiExit
from search_spaces.relaxations.pruned import Pruned
from search_spaces.relaxations.relaxation import Relaxation, Supernet
from search_spaces.relaxations.scan import Scan
from search_spaces.relaxations.skipnet import SkipNet
from search_spaces.values import load

__all__ = ["RELAXATIONS", "Relaxation", "Supernet", "make_relaxation"]

RELAXATIONS: dict[str, type[Relaxation]] = {
    "blockdrop": BlockDrop,
    "byot": Byot,
    "darts": Darts,
    "depth_posterior": DepthPosterior,
    "elastic": Elastic,
    "ensemble": Ensemble,
    "halting": Halting,
    "layer_fusion": LayerFusion,
    "layer_select": LayerSelect,
    "multi_exit": MultiExit,
    "scan": Scan,
    "skipnet": SkipNet,
}
"""Relaxations by the name that a study file uses. Adding one is one file and one line here."""

STAGES: dict[str, type[Relaxation]] = {
    "distilled": Distilled,
    "pruned": Pruned,
}
"""Those that are no method by themselves: a controller proposes them, as stages of what it does."""


def make_relaxation(options: Mapping[str, Any]) -> Relaxation:
    """The relaxation that the mapping `{name: NAME, **fields}` describes.

    Raises:
        InvalidInput: unknown relaxation or field, or a value out of its range.
    """
    fields = dict(options)
    name = fields.pop("name", None)
    if not isinstance(name, str):
        raise InvalidInput(f"is required; allowed: {', '.join(RELAXATIONS)}", field="name")
    return load(resolve(name, {**RELAXATIONS, **STAGES}, what="relaxation"), fields)
