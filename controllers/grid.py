"""Grid search: every combination of the options of some decisions, in an order known before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import islice

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from controllers.trial import Proposal, Trial
from search_spaces.architecture import Architecture, Option
from search_spaces.compose import answer, enumerate_space, trace
from search_spaces.errors import InvalidArchitecture, InvalidInput, SearchExhausted
from search_spaces.space import SearchSpace
from search_spaces.values import CONFIG

MAX_POINTS = 100_000
EVERYTHING = ("*",)


class Order(StrEnum):
    """In which order the points are tried, which matters when the budget does not pay for all."""

    ASCENDING = "ascending"
    """As enumerated: options in their order, the last decision fastest."""
    SHUFFLED = "shuffled"
    """A permutation drawn from the run's seed."""
    COARSE_TO_FINE = "coarse_to_fine"
    """Ends first, then middles, quarters, ...: by `refinement` of the point's finest gridded decision; points of
    equal refinement as enumerated."""


@dataclass(kw_only=True, config=CONFIG)
class Grid:
    """Trains `points()` one after the other. Combinations that are the same network are one point.

    Raises:
        InvalidInput: a pattern names no decision, an answer is no option, or there are too many combinations.
    """

    space: SearchSpace = Field(repr=False)
    seed: int
    over: tuple[str, ...] = Field(default=EVERYTHING, min_length=1)
    """Names or patterns (`*.op`) of the decisions to combine. All others take their default."""
    tied: bool = False
    """Decisions that match one pattern take the same answer, as one axis."""
    order: Order = Order.ASCENDING
    """`ascending` as enumerated, `shuffled` by the run's seed, or `coarse_to_fine`: ends, middles, quarters, ..."""
    defaults: Mapping[str, Option] = Field(default_factory=dict)
    """Answers of the other decisions by name or pattern, the first match counts; without one, the first option."""
    listed: tuple[Mapping[str, Option], ...] = ()
    """The points one by one, in place of combinations; decisions not named take their first option."""

    def __post_init__(self) -> None:
        if self.listed:
            combinations = self._read_listed()
        else:
            combinations = self._combinations()
            self._check_names(combinations)
        points = list(dict.fromkeys(combinations))
        match self.order:
            case Order.SHUFFLED:
                permutation = np.random.default_rng(self.seed).permutation(len(points))
                points = [points[index] for index in permutation]
            case Order.COARSE_TO_FINE:
                points.sort(key=self._finest)
        self._points = tuple(points)

    def points(self) -> tuple[Architecture, ...]:
        """The whole grid in the order in which it is tried."""
        return self._points

    def ask(self, number: int, pending: Sequence[Trial] = ()) -> Proposal:
        if number >= len(self._points):
            raise SearchExhausted(f"all {len(self._points)} grid points are trained")
        return Proposal(architecture=self._points[number])

    def tell(self, trial: Trial) -> None:
        pass

    def _read_listed(self) -> list[Architecture]:
        if self.over != EVERYTHING or self.tied or self.defaults:
            raise InvalidInput("stands in place of over, tied and defaults", field="listed")
        try:
            return [answer(self.space, decisions, partial=True) for decisions in self.listed]
        except InvalidArchitecture as error:
            raise InvalidInput(str(error), field="listed") from None

    def _combinations(self) -> list[Architecture]:
        enumeration = enumerate_space(self.space, self.over, tied=self.tied, defaults=self.defaults)
        try:
            combinations = list(islice(enumeration, MAX_POINTS + 1))
        except InvalidArchitecture as error:
            raise InvalidInput(str(error), field="defaults") from None
        if len(combinations) > MAX_POINTS:
            raise InvalidInput(
                f"a grid may have {MAX_POINTS:,} combinations at most; name fewer decisions", field="over"
            )
        return combinations

    def _check_names(self, combinations: Iterable[Architecture]) -> None:
        """A pattern that matches nothing is a typing error, and would silently leave a decision at its default."""
        names = dict.fromkeys(name for point in combinations for name in point.decisions)
        for pattern in self.over:
            if pattern != "*" and not any(fnmatchcase(name, pattern) for name in names):
                raise InvalidInput(f"{pattern!r} matches no decision; decisions: {_listed(names)}", field="over")
        others = [name for name in names if not self._is_gridded(name)]
        for pattern in self.defaults:
            if not any(fnmatchcase(name, pattern) for name in others):
                raise InvalidInput(
                    f"{pattern!r} matches no decision outside the grid; those are: {_listed(others)}", field="defaults"
                )

    def _is_gridded(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.over)

    def _finest(self, point: Architecture) -> int:
        _, asked = trace(self.space, lambda name, _: point.decisions[name])
        gridded = [decision for decision in asked if self._is_gridded(decision.name)]
        return max((refinement(d.options.index(d.answer), len(d.options)) for d in gridded), default=0)


def refinement(index: int, num_options: int) -> int:
    """How many halvings of the options it takes to reach one of them: 0 at both ends, 1 in the middle, 2, ...

    The smallest k such that `index = floor(j * (num_options - 1) / 2**k)` for a whole j. Of 1..8: 1 and 8 are
    reached by 0 halvings, 4 by 1, 2 and 6 by 2, and 3, 5 and 7 by 3.
    """
    last = num_options - 1
    halvings = 0
    while index not in {part * last // 2**halvings for part in range(2**halvings + 1)}:
        halvings += 1
    return halvings


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
