"""How the weights of one chain become the start of another: a prefix of it, a longer one, a stack of its blocks.

An `Inheritance` says for every block of the heir which block of the parent it copies, and that one list is enough for
continuing a prefix (`1, 2, 3`), growing (`1, 2, 3, 0`), Net2DeeperNet (`1, 0, 2, 0`; Chen, Goodfellow & Shlens, ICLR
2016, arXiv 1511.05641) and progressive stacking (`1, 2, 3, 1, 2, 3`; Gong et al., ICML 2019). Parents and heirs are
chains, or supernets that hold one chain; a supernet may have a head per level.

All levels of a tied chain are one block, so the same lists mean there: that block, applied as often as the list is
long. A new level is one more application, and there is nothing in it to initialise.

An identity block passes on what it is given (`ChainSpace.make_identity`), so that a network that grows by such blocks
goes on from where it was. AutoGrow (Wen et al., KDD 2020, arXiv 1906.02909) finds that random blocks often do better.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic.dataclasses import dataclass
from torch import Tensor

from search_spaces.errors import TrialFailed
from search_spaces.values import CONFIG

NEW = 0
"""As the parent of a block: it has none."""
_PART = re.compile(r"(?:chain\.)?(stem|blocks\.\d+|heads\.\d+|head)\.(.+)")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Inheritance:
    """Which weights of its parent a network starts with. The stem is always the parent's."""

    blocks: tuple[int, ...]
    """For each block of the heir, the parent's block that it copies, from 1; 0: it is new."""
    new_blocks: Literal["random", "identity"] = "random"
    """How new blocks start."""

    @classmethod
    def prefix(cls, depth: int) -> Inheritance:
        """The first blocks of the parent, perhaps all of them."""
        return cls(blocks=tuple(range(1, depth + 1)))

    @property
    def new_identities(self) -> tuple[int, ...]:
        """The blocks, from 1, that start as identities."""
        if self.new_blocks == "random":
            return ()
        return tuple(level for level, source in enumerate(self.blocks, start=1) if source == NEW)


def inherit(heir: Mapping[str, Tensor], parent: Mapping[str, Tensor], inheritance: Inheritance) -> dict[str, Tensor]:
    """The state with which the heir starts: its own, fresh one, with what it inherits in the place of its own.

    A head is taken from the parent's head of the same level, or else from its only one; a head that the parent lacks
    stays fresh.

    Raises:
        TrialFailed: the parent lacks a block, or one of another shape stands in its place.
    """
    own, others = _parts(heir), _parts(parent)
    depth = len(inheritance.blocks)
    is_tied = sum(part.startswith("blocks.") for part in own) < depth
    state = dict(heir)
    for part, names in own.items():
        source = _source(part, inheritance, others, depth, is_tied=is_tied)
        if source is None:
            continue
        if source not in others:
            raise TrialFailed(f"{part} cannot start from {source}, which its parent lacks")
        for suffix, name in names.items():
            tensor = parent[others[source][suffix]] if suffix in others[source] else None
            if tensor is None or tensor.shape != heir[name].shape:
                raise TrialFailed(f"{part} cannot start from {source} of its parent: {suffix} differs in shape")
            state[name] = tensor
    return state


def _source(
    part: str, inheritance: Inheritance, others: Mapping[str, Mapping[str, str]], depth: int, *, is_tied: bool
) -> str | None:
    """The part of the parent that this part copies; None: it stays fresh."""
    kind, _, index = part.partition(".")
    if kind == "stem":
        return part
    if kind == "blocks" and is_tied:
        return "blocks.0" if any(inheritance.blocks) else None
    if kind == "blocks":
        source = inheritance.blocks[int(index)]
        return None if source == NEW else f"blocks.{source - 1}"
    wanted = f"heads.{index or depth}"
    if wanted in others:
        return wanted
    return "head" if kind == "head" and "head" in others else None


def _parts(state: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    """The names of a state by part and by name within the part; what belongs to no part of a chain is left out."""
    parts: dict[str, dict[str, str]] = {}
    for name in state:
        if match := _PART.fullmatch(name):
            parts.setdefault(match[1], {})[match[2]] = name
    return parts
