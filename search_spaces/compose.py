"""Everything generic about search spaces, written once on top of `SearchSpace.compose`.

Each function is an answerer: random search draws, mutation repeats the parent's answers but one, the
enumeration walks the tree of answers depth first. A decision with a single option is answered without
being asked, so it is neither recorded nor a dimension of anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture, Option
from search_spaces.errors import InvalidArchitecture, SearchExhausted
from search_spaces.space import Choose, SearchSpace

EXACT_SIZE_LIMIT = 20_000
"""Spaces with more points than this are counted by probing."""
SIZE_PROBES = 2_000
MAX_DRAWS = 10_000
"""Networks drawn in search of one that keeps to the limits of its space."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """One question that `compose` asked and the answer it got."""

    name: str
    options: tuple[Option, ...]
    answer: Option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """Number of points of a space; an unbiased estimate when not `exact`."""

    points: float
    exact: bool

    def __str__(self) -> str:
        return f"{self.points:.0f}" if self.exact else f"about {self.points:.1e}"


def trace(space: SearchSpace, choose: Choose) -> tuple[Architecture, tuple[Decision, ...]]:
    """Compose with `choose`, and keep what was asked.

    Raises:
        InvalidArchitecture: `choose` answered with something that is not an option.
    """
    architecture, asked = _compose(space, choose)
    decisions = architecture.decisions
    return architecture, tuple(
        Decision(name=name, options=tuple(options), answer=decisions[name]) for name, options in asked.items()
    )


def answer(space: SearchSpace, decisions: Mapping[str, Option], *, partial: bool = False) -> Architecture:
    """The architecture that these decisions name. With `partial`, a decision not named takes its first option.

    Raises:
        InvalidArchitecture: a decision is missing, is never asked, or has no such option.
    """
    unused = dict(decisions)

    def choose(name: str, options: Sequence[Option], /) -> Option:
        if name not in unused and partial:
            return options[0]
        if name not in unused:
            raise InvalidArchitecture(f"{name} must be one of {list(options)}, got nothing")
        return unused.pop(name)

    architecture, asked = trace(space, choose)
    if unused:
        names = ", ".join(decision.name for decision in asked) or "none"
        raise InvalidArchitecture(f"{next(iter(unused))} is not a decision of this architecture; decisions: {names}")
    if not allows(space, architecture):
        raise InvalidArchitecture(f"{dict(architecture.decisions)} exceeds the limits of the space")
    return architecture


def validate(space: SearchSpace, architecture: Architecture) -> None:
    """Check that `architecture` is a point of `space`, with the form that its decisions lead to.

    Raises:
        InvalidArchitecture: it is not.
    """
    if answer(space, architecture.decisions) != architecture:
        raise InvalidArchitecture(f"architecture {architecture.id} has a form that its decisions do not lead to")


def sample(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    """Every decision answered uniformly at random.

    Raises:
        SearchExhausted: as `draw_allowed`, which holds for all functions here that draw.
    """
    return draw_allowed(space, lambda: _compose(space, lambda _, options: _draw(options, rng))[0])


def mutate(
    space: SearchSpace, parent: Architecture, rng: np.random.Generator, *, num_mutations: int = 1
) -> Architecture:
    """The parent with `num_mutations` decisions answered differently.

    Decisions that only come into being through the change are drawn; those that vanish are dropped.
    """

    def draw() -> Architecture:
        child = parent
        for _ in range(num_mutations):
            decisions = child.decisions
            if not decisions:
                break
            changed = list(decisions)[rng.integers(len(decisions))]
            child = _compose(space, _mutator(decisions, changed, rng))[0]
        return child

    return draw_allowed(space, draw)


def neighbours(space: SearchSpace, architecture: Architecture, rng: np.random.Generator) -> tuple[Architecture, ...]:
    """Every network that one decision answered differently leads to, in the order of decisions and options.

    Decisions that only come into being through the change are drawn, once for every change; those that vanish are
    dropped. Each network is listed once, the architecture itself never.
    """
    decisions = architecture.decisions
    _, asked = trace(space, lambda name, _: decisions[name])
    found = {
        trace(space, _changer(decisions, decision.name, option, rng))[0]: None
        for decision in asked
        for option in decision.options
        if option != decision.answer
    }
    found.pop(architecture, None)
    return tuple(found)


def crossover(space: SearchSpace, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
    """Uniform crossover: every decision answered by either parent with equal chance.

    A decision that only one parent has is inherited from it, one that neither has is drawn.
    """

    def choose(name: str, options: Sequence[Option], /) -> Option:
        inherited = [parent.decisions[name] for parent in (one, other) if parent.decisions.get(name) in options]
        return _draw(inherited or options, rng)

    return draw_allowed(space, lambda: _compose(space, choose)[0])


def allows(space: SearchSpace, architecture: Architecture) -> bool:
    """Whether an architecture keeps to the limits of a space that has some: one with a method `allows`."""
    within: Callable[[Architecture], bool] | None = getattr(space, "allows", None)
    return within is None or within(architecture)


def draw_allowed(space: SearchSpace, draw: Callable[[], Architecture]) -> Architecture:
    """The first architecture that `draw` gives and the space allows.

    Raises:
        SearchExhausted: none of many keeps to the limits.
    """
    for _ in range(MAX_DRAWS):
        architecture = draw()
        if allows(space, architecture):
            return architecture
    raise SearchExhausted(f"none of {MAX_DRAWS} networks that were drawn keeps to the limits of the space")


def enumerate_space(
    space: SearchSpace,
    axes: Sequence[str] = ("*",),
    *,
    tied: bool = False,
    defaults: Mapping[str, Option] | None = None,
) -> Iterator[Architecture]:
    """Every point of the space that the named axes span, depth first, options in their order, within its limits.

    `axes` are patterns of decision names (`depth`, `block*.op`). A decision that matches none takes the first of
    `defaults` whose key, also a pattern, it matches, else its first option. With `tied`, all decisions that match
    one pattern take the same answer, as one axis of a grid.

    Raises:
        InvalidArchitecture: a default is not an option of the decision.
    """
    others = defaults or {}
    path: list[_Branching] = []  # root first
    while True:
        point = _compose(space, _follower(path, axes, tied, others))[0]
        if allows(space, point):
            yield point
        while path and path[-1].is_last:
            path.pop()
        if not path:
            return
        path[-1].index += 1


def size(space: SearchSpace, *, limit: int = EXACT_SIZE_LIMIT) -> Size:
    """Number of points: counted up to `limit`, estimated beyond.

    The estimate is Knuth's (Mathematics of Computation, 1975): the mean, over random descents, of the
    product of the branching factors.
    """
    counted = sum(1 for _ in islice(enumerate_space(space), limit + 1))
    if counted <= limit:
        return Size(points=counted, exact=True)
    rng = np.random.default_rng(0)
    probes = [_num_branches(space, rng) for _ in range(SIZE_PROBES)]
    return Size(points=float(np.mean(probes)), exact=False)


def encode(architectures: Sequence[Architecture]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """One-hot codes of the decisions, plus the depth.

    Returns:
        A matrix `[architecture, column]` and the column names: `depth`, then `name=option` for every
        answer that occurs, sorted. An absent decision is all zeros in its columns.
    """
    rows = [{f"{name}={option}" for name, option in one.decisions.items()} for one in architectures]
    columns = sorted(set().union(*rows)) if rows else []
    matrix = np.zeros((len(rows), 1 + len(columns)))
    matrix[:, 0] = [one.depth for one in architectures]
    for index, row in enumerate(rows):
        matrix[index, 1:] = [column in row for column in columns]
    return matrix, ("depth", *columns)


def _compose(space: SearchSpace, choose: Choose) -> tuple[Architecture, Mapping[str, Sequence[Option]]]:
    """The architecture that `choose` leads to, and the options of all that was asked."""
    asked: dict[str, Sequence[Option]] = {}
    answers: dict[str, Option] = {}

    def recorder(name: str, options: Sequence[Option], /) -> Option:
        assert name not in asked, f"decision {name!r} was asked twice"
        assert options, f"decision {name!r} has no options"
        if len(options) == 1:
            return options[0]
        answer = choose(name, options)
        try:
            answer = options[options.index(answer)]  # 2.0 and True equal 2 and 1, but not in JSON, nor in the id
        except ValueError:
            raise InvalidArchitecture(f"{name} must be one of {list(options)}, got {answer!r}") from None
        asked[name], answers[name] = options, answer
        return answer

    architecture = space.compose(recorder)
    if architecture.decisions != answers:
        architecture = dataclasses.replace(architecture, decisions=answers)
    return architecture, asked


def _draw(options: Sequence[Option], rng: np.random.Generator) -> Option:
    return options[int(rng.integers(len(options)))]


def _inheritor(decisions: Mapping[str, Option], rng: np.random.Generator) -> Choose:
    def choose(name: str, options: Sequence[Option], /) -> Option:
        inherited = decisions.get(name)
        return inherited if inherited is not None and inherited in options else _draw(options, rng)

    return choose


def _mutator(decisions: Mapping[str, Option], changed: str, rng: np.random.Generator) -> Choose:
    inherit = _inheritor(decisions, rng)

    def choose(name: str, options: Sequence[Option], /) -> Option:
        if name == changed:
            return _draw([option for option in options if option != decisions[name]], rng)
        return inherit(name, options)

    return choose


def _changer(decisions: Mapping[str, Option], changed: str, answer: Option, rng: np.random.Generator) -> Choose:
    inherit = _inheritor(decisions, rng)
    return lambda name, options, /: answer if name == changed else inherit(name, options)


@dataclasses.dataclass(kw_only=True)
class _Branching:
    """A decision on the way from the root of the tree of answers, and the branch now taken."""

    options: tuple[Option, ...]
    index: int = 0

    @property
    def is_last(self) -> bool:
        return self.index + 1 == len(self.options)


def _follower(path: list[_Branching], axes: Sequence[str], tied: bool, others: Mapping[str, Option]) -> Choose:
    """Answers along `path`, then with first options, by which the path grows to a leaf."""
    position = 0
    axis_answers: dict[str, Option] = {}

    def choose(name: str, options: Sequence[Option], /) -> Option:
        nonlocal position
        axis = next((pattern for pattern in axes if fnmatchcase(name, pattern)), None)
        if axis is None:
            return next((option for pattern, option in others.items() if fnmatchcase(name, pattern)), options[0])
        if tied and axis_answers.get(axis) in options:
            return axis_answers[axis]
        if position == len(path):
            path.append(_Branching(options=tuple(options)))
        branching = path[position]
        position += 1
        answer = branching.options[branching.index]
        if tied:
            axis_answers.setdefault(axis, answer)
        return answer

    return choose


def _num_branches(space: SearchSpace, rng: np.random.Generator) -> float:
    architecture, asked = trace(space, lambda _, options: _draw(options, rng))
    branches = float(np.prod([len(decision.options) for decision in asked], dtype=np.float64))
    return branches if allows(space, architecture) else 0.0
