"""What the relaxations of chains share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import accumulate

import torch
from torch import Tensor

from search_spaces.architecture import Architecture, Option
from search_spaces.chain_space import ChainSpace
from search_spaces.compose import answer
from search_spaces.errors import InvalidArchitecture, InvalidInput
from search_spaces.space import SearchSpace


def chain_space(space: SearchSpace, *, method: str) -> ChainSpace:
    """`space`, known to be a chain space whose every stage has a single width.

    Hidden states of different widths cannot be added, so no relaxation can choose the width of the trunk.

    Raises:
        InvalidInput: it is another kind of space, or leaves a width of the trunk open.
    """
    if not isinstance(space, ChainSpace):
        raise InvalidInput(f"{method} relaxes chain spaces only, got {type(space).__name__}")
    for index, stage in enumerate(space.all_stages()):
        if len(stage.width) > 1:
            field = f"space.stages.{index}.width" if space.stages else "space.width"
            raise InvalidInput(f"{method} adds hidden states: {field} must be a single width, got {list(stage.width)}")
    return space


def chain_of_depths(space: SearchSpace, *, method: str) -> tuple[ChainSpace, tuple[int, ...]]:
    """`space`, known to be a chain space with one stage and nothing but the depth to choose, and its depths.

    Raises:
        InvalidInput: it has several stages, another choice, or a single depth.
    """
    chain = chain_space(space, method=method)
    if len(chain.all_stages()) > 1:
        raise InvalidInput(f"{method} needs one stage: space.stages must have 1, got {len(chain.stages)}")
    if len(chain.all_ops()) > 1:
        raise InvalidInput(f"{method} learns depth only: space.ops must be one, got {list(chain.all_ops())}")
    if len(chain.block_width) > 1:
        raise InvalidInput(
            f"{method} learns depth only: space.block_width must be a single width, got {list(chain.block_width)}"
        )
    depths = chain.all_stages()[0].depth
    if len(depths) < 2:
        raise InvalidInput(f"{method} needs two depths to choose from, got {list(depths)}")
    return chain, depths


def chain_from_one(space: SearchSpace, *, method: str) -> tuple[ChainSpace, tuple[int, ...]]:
    """As `chain_of_depths`, for a method whose levels count from 1: the depths are those of at least 1.

    Raises:
        InvalidInput: as there, or there are fewer than two of those.
    """
    chain, _ = chain_of_depths(space, method=method)
    depths = depths_from_one(chain)
    if len(depths) < 2:
        raise InvalidInput(f"{method} needs two depths of at least 1 to choose from, got {list(depths)}")
    return chain, depths


def depths_from_one(space: ChainSpace) -> tuple[int, ...]:
    """The depths, of a space with one stage, that have a block."""
    return tuple(depth for depth in space.all_stages()[0].depth if depth >= 1)


def chain_with(
    space: SearchSpace, decisions: Mapping[str, Option], *, method: str, field: str
) -> tuple[ChainSpace, Architecture]:
    """`space`, known to be a chain space, and its chain with these decisions.

    Of decisions not named, depths are the largest, and the others take their first option.

    Raises:
        InvalidInput: it is another kind of space, or, in `field`, a decision is none of it.
    """
    if not isinstance(space, ChainSpace):
        raise InvalidInput(f"{method} needs a chain space, got {type(space).__name__}")
    try:
        return space, answer(space, {**with_depths(space, max_depths(space)), **decisions}, partial=True)
    except InvalidArchitecture as error:
        raise InvalidInput(str(error), field=field) from None


def check_depths(depths: Sequence[int], allowed: Sequence[int], *, field: str = "depths") -> None:
    """Refuse depths that the space does not have.

    Raises:
        InvalidInput: in `field`.
    """
    if unknown := set(depths) - set(allowed):
        raise InvalidInput(f"must be among the space's depths {list(allowed)}, got {sorted(unknown)}", field=field)


def middle_depth(depths: Sequence[int], *, among: Sequence[int] = ()) -> int:
    """The depth nearest to the geometric mean of the extremes: the guess that can be wrong by the smallest factor.

    `among`: those of the depths to choose from; empty: all of them.
    """
    middle = math.sqrt(max(min(depths), 1) * max(depths))
    return min(among or depths, key=lambda depth: abs(math.log(max(depth, 0.5) / middle)))


def prefixes(space: ChainSpace) -> tuple[str, ...]:
    """What the names of each stage's decisions begin with."""
    if not space.stages:
        return ("",)
    return tuple(f"stage{number}." for number in range(1, len(space.stages) + 1))


def with_depths(space: ChainSpace, depths: tuple[int, ...]) -> dict[str, Option]:
    """The decisions that make the stages this deep. A depth with a single option is no decision."""
    stages = zip(prefixes(space), space.all_stages(), depths, strict=True)
    return {f"{prefix}depth": depth for prefix, stage, depth in stages if len(stage.depth) > 1}


def max_depths(space: ChainSpace) -> tuple[int, ...]:
    """The largest number of blocks of each stage."""
    return tuple(max(stage.depth) for stage in space.all_stages())


def deepest(space: ChainSpace) -> Architecture:
    """The deepest chain, its other decisions on their first options."""
    return answer(space, with_depths(space, max_depths(space)), partial=True)


def architecture_of(space: ChainSpace, depth: int) -> Architecture:
    """The chain of this depth, in a space of one stage with nothing else to choose."""
    return answer(space, with_depths(space, (depth,)))


def architectures_of(space: ChainSpace, depths: Iterable[int]) -> tuple[Architecture, ...]:
    """The chains of these depths, in a space of one stage with nothing else to choose."""
    return tuple(architecture_of(space, depth) for depth in depths)


def architectures_near(space: ChainSpace, mean_depth: float) -> tuple[Architecture, ...]:
    """The chains with a block, those whose depth is nearest to a mean over inputs first (ties: shallow)."""
    return architectures_of(space, sorted(depths_from_one(space), key=lambda depth: (abs(depth - mean_depth), depth)))


def weighted_sum(weights: Tensor, terms: Iterable[Tensor]) -> Tensor:
    """`sum_i weights[i] * terms[i]`, term by term: a stack of them would double the memory."""
    total: Tensor = reduce(torch.add, (weight * term for weight, term in zip(weights, terms, strict=True)))
    return total


def sums_without_each(terms: Sequence[Tensor]) -> list[Tensor]:
    """`sum_{j != i} terms[j]` for every i, without the cancellation of a subtraction."""
    nothing = torch.zeros_like(terms[0])
    before = accumulate(terms[:-1], initial=nothing)
    after = reversed(list(accumulate(reversed(terms[1:]), initial=nothing)))
    return [below + above for below, above in zip(before, after, strict=True)]
