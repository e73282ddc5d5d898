"""Spaces of chains: how deep, how wide, and which operation in every block.

A chain has one or more stages. Inside a stage all hidden states have one shape, so that any level can stand
for any other; between stages the shape may change. With one stage the decisions are `depth`, `width`,
`block1.op`, `block1.width`, ...; with several they are `stage1.depth`, `stage1.block1.op`, ...

In a tied chain one block is applied `depth` times, as in a recurrent network: it is asked for once, as `block.op` and
`block.width`, its parameters count once and its FLOPs at every application. A tied chain of one block is an ordinary
one, and has its id.

A family (`mlp`, `resnet`, `mobile`, `transformer`, `cell`) is a subclass that names its `operations` and implements
`make_stem`, `make_block` and `make_head`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass as validated
from torch import nn

from search_spaces.architecture import Architecture
from search_spaces.chain import Chain, Repeated
from search_spaces.errors import InvalidInput
from search_spaces.options import AnyOptions, Options
from search_spaces.space import Choose
from search_spaces.values import CONFIG


@validated(frozen=True, kw_only=True, config=CONFIG)
class Stage:
    """A run of blocks whose hidden states have one shape."""

    depth: Options
    """Numbers of blocks to choose from."""
    width: Options
    """Channels (or features) of the hidden state to choose from."""
    stride: int = 1
    """Downsampling of the stage's first block."""

    def __post_init__(self) -> None:
        if min(self.width) < 1:
            raise InvalidInput(f"must be at least 1, got {min(self.width)}", field="width")
        if self.stride < 1:
            raise InvalidInput(f"must be at least 1, got {self.stride}", field="stride")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block, as a family builds it."""

    op: str
    width: int | None
    """Inner width of the block; None leaves it to the family."""
    width_in: int
    width_out: int
    stride: int


@validated(frozen=True, kw_only=True, config=CONFIG)
class ChainSpace:
    """Base of the chain families. Give either `depth` and `width`, or `stages`."""

    input_shape: tuple[int, ...]
    num_classes: int
    depth: Options | None = None
    """Numbers of blocks to choose from (one stage)."""
    width: Options | None = None
    """Widths of the hidden state to choose from (one stage)."""
    stages: tuple[Stage, ...] = ()
    """Several stages with their own depths, widths and strides."""
    ops: tuple[str, ...] = ()
    """Operations that every block chooses from; empty: the family's first."""
    block_width: AnyOptions = ()
    """Inner widths that every block with an inner width chooses from; empty: left to the family."""
    tied: bool = False
    """All blocks share one set of weights, so that the depth is how often one block is applied (one stage)."""

    family: ClassVar[str]
    operations: ClassVar[tuple[str, ...]]
    """Every operation of the family; the first is the default."""
    operations_without_width: ClassVar[tuple[str, ...]] = ()
    """Those that have no inner width, so that it is never asked for them."""
    default_width: ClassVar[int]
    tieable: ClassVar[bool] = False
    """Whether a block means the same at every level. One with batch statistics does not: they are of one level."""

    def __post_init__(self) -> None:
        if not self.input_shape or min(self.input_shape) < 1:
            raise InvalidInput(f"must have sides of at least 1, got {list(self.input_shape)}", field="input_shape")
        if self.num_classes < 1:
            raise InvalidInput(f"must be at least 1, got {self.num_classes}", field="num_classes")
        if self.stages and (self.depth is not None or self.width is not None):
            raise InvalidInput("give either depth and width, or stages", field="stages")
        if not self.stages and self.depth is None:
            raise InvalidInput("is required (or stages)", field="depth")
        if self.width is not None and min(self.width) < 1:
            raise InvalidInput(f"must be at least 1, got {min(self.width)}", field="width")
        for op in self.ops:
            if op not in self.operations:
                raise InvalidInput(f"must be among {', '.join(self.operations)}, got {op!r}", field="ops")
        if len(set(self.ops)) != len(self.ops):
            raise InvalidInput(f"must be distinct, got {list(self.ops)}", field="ops")
        if 0 in self.block_width:
            raise InvalidInput("must be at least 1, got 0", field="block_width")
        if self.block_width and set(self.all_ops()) <= set(self.operations_without_width):
            raise InvalidInput(f"none of {', '.join(self.all_ops())} has an inner width", field="block_width")
        if self.tied and not self.tieable:
            raise InvalidInput(f"blocks of the family {self.family} cannot be tied", field="tied")
        if self.tied and (len(self.stages) > 1 or self.all_stages()[0].stride != 1):
            raise InvalidInput("needs blocks of one shape: a single stage of stride 1", field="tied")
        for index, stage in enumerate(self.stages):
            changes_shape = index > 0 or stage.stride != 1
            if changes_shape and 0 in stage.depth:
                raise InvalidInput(
                    "must be at least 1 in a stage that changes the shape", field=f"stages.{index}.depth"
                )

    @abstractmethod
    def make_stem(self, width: int) -> nn.Module:
        """Input `x_B...` to level 0."""

    @abstractmethod
    def make_block(self, block: Block) -> nn.Module:
        """One level to the next."""

    @abstractmethod
    def make_head(self, width: int) -> nn.Module:
        """A level to logits `y_BK`, or `y_BTK` at every token. Works on every level of the last stage."""

    def make_identity(self, block: nn.Module, previous: nn.Module) -> None:
        """Change a block of the inside of a stage so that it passes on what `previous`, stem or block, hands it.

        Raises:
            InvalidInput: blocks of this kind cannot do that.
        """
        raise InvalidInput(f"{self.family} blocks cannot start as identities")

    def all_ops(self) -> tuple[str, ...]:
        """The operations to choose from, also when the space was written without `ops`."""
        return self.ops or self.operations[:1]

    def all_stages(self) -> tuple[Stage, ...]:
        """The stages, also when the space was written with `depth` and `width`."""
        if self.stages:
            return self.stages
        assert self.depth is not None
        return (Stage(depth=self.depth, width=self.width or (self.default_width,)),)

    def compose(self, choose: Choose) -> Architecture:
        stages = []
        total_depth = 0
        for number, stage in enumerate(self.all_stages(), start=1):
            prefix = f"stage{number}." if self.stages else ""
            depth = choose(f"{prefix}depth", stage.depth)
            width = choose(f"{prefix}width", stage.width)
            assert isinstance(depth, int)
            if self.tied:
                blocks = [self.compose_block(choose, f"{prefix}block.")] if depth else []
            else:
                blocks = [self.compose_block(choose, f"{prefix}block{level}.") for level in range(1, depth + 1)]
            repeats = {"repeats": depth} if self.tied and depth > 1 else {}
            stages.append({"width": width, "stride": stage.stride, "blocks": blocks, **repeats})
            total_depth += depth
        return Architecture(depth=total_depth, form={"family": self.family, "stages": stages})

    def compose_block(self, choose: Choose, prefix: str) -> dict[str, Any]:
        """Ask for one block: the form of its `op` and inner `width`."""
        op = choose(f"{prefix}op", self.all_ops())
        has_width = bool(self.block_width) and op not in self.operations_without_width
        return {"op": op, "width": choose(f"{prefix}width", self.block_width) if has_width else None}

    def build(self, architecture: Architecture) -> Chain:
        stages = architecture.form["stages"]
        stem = self.make_stem(stages[0]["width"])
        blocks = self.blocks(architecture)
        if "repeats" in stages[0]:
            return Chain(stem, Repeated(self.make_block(blocks[0]), len(blocks)), self.make_head(stages[0]["width"]))
        return Chain(stem, [self.make_block(block) for block in blocks], self.make_head(stages[-1]["width"]))

    def blocks(self, architecture: Architecture) -> list[Block]:
        """The blocks of an architecture, level by level, with the shapes that they have to meet."""
        blocks = []
        stages: list[Mapping[str, Any]] = architecture.form["stages"]
        width_in = stages[0]["width"]
        for stage in stages:
            for index, block in enumerate([*stage["blocks"]] * stage.get("repeats", 1)):
                stride = stage["stride"] if index == 0 else 1
                blocks.append(Block(**block, width_in=width_in, width_out=stage["width"], stride=stride))
                width_in = stage["width"]
        return blocks
