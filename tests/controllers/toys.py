"""Spaces that need no network: what a controller does is all that is looked at."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from search_spaces.architecture import ID_CHARACTERS, Architecture, Option
from search_spaces.space import Choose


class _Unbuildable:
    input_shape = (1,)
    num_classes = 2

    def build(self, architecture):
        raise NotImplementedError


@dataclass(frozen=True)
class Product(_Unbuildable):
    """Every combination of answers. Those whose names start with an underscore leave no trace in the network."""

    questions: Mapping[str, Sequence[Option]]

    def compose(self, choose: Choose) -> Architecture:
        answers = {name: choose(name, options) for name, options in self.questions.items()}
        form = {name: answer for name, answer in answers.items() if not name.startswith("_")}
        return Architecture(depth=answers.get("depth", 1), form=form)


@dataclass(frozen=True)
class Shifting(_Unbuildable):
    """A decision whose options depend on another."""

    def compose(self, choose: Choose) -> Architecture:
        op = choose("op", ("narrow", "wide"))
        width = choose("width", (1, 2, 3) if op == "narrow" else (2, 4, 8, 16))
        return Architecture(depth=1, form={"op": op, "width": width, "rate": choose("rate", (0.1, 0.2))})


OPERATIONS = ("convolution", "pooling", "attention", "gate")
WIDTHS = (16, 32, 64)


@dataclass(frozen=True)
class Landscape(_Unbuildable):
    """Up to six blocks with an operation and a width each, and a best network that is known.

    The score of a network of depth D adds, over its first five levels, 0.6 for the right operation and up to 0.4
    for the nearness of the width, adds 0.5 for each pair of neighbours whose operations are both right (so that
    blocks depend on each other), scales that so that the best network gains 0.7 on the floor of 0.2, and takes
    0.02 for a sixth block. Every term is largest at `best` alone, and each of its five levels adds to the sum;
    hence `best` is the only optimum, of score 0.9.
    """

    best: tuple[tuple[str, int], ...] = (
        ("attention", 16),
        ("convolution", 16),
        ("gate", 32),
        ("convolution", 32),
        ("attention", 64),
    )
    max_depth: int = 6

    def compose(self, choose: Choose) -> Architecture:
        depth = choose("depth", range(1, self.max_depth + 1))
        blocks = [
            [choose(f"block{level}.op", OPERATIONS), choose(f"block{level}.width", WIDTHS)]
            for level in range(1, depth + 1)
        ]
        return Architecture(depth=depth, form={"blocks": blocks})

    def score(self, architecture: Architecture) -> float:
        blocks = architecture.form["blocks"]
        right = [op == best_op for (op, _), (best_op, _) in zip(blocks, self.best, strict=False)]
        near = [
            1 - abs(math.log2(width / best_width)) / 2
            for (_, width), (_, best_width) in zip(blocks, self.best, strict=False)
        ]
        pairs = [one and other for one, other in pairwise(right)]
        total = 0.6 * sum(right) + 0.4 * sum(near) + 0.5 * sum(pairs)
        return 0.2 + 0.7 * total / (5 + 0.5 * 4) - 0.02 * max(0, len(blocks) - 5)


def arbitrary_score(architecture: Architecture) -> float:
    """A score in [0, 1) for tests in which any will do, the same for equal networks."""
    return int(architecture.id, 16) / 16**ID_CHARACTERS
