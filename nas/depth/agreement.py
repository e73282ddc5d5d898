"""How far the answers agree: of every method, its answers over its runs, and what they are worth by ordinary training.

Whatever is averaged here is a number per run: the distance of two answers in levels, the rank correlation of what two
answers say of all depths (Spearman, American Journal of Psychology 15, 1904), and the regret, the accuracy that
ordinary training loses by the depth that an answer names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

from nas.depth.answers import Answer, Merits, Supernet
from nas.depth.trainings import Trainings
from nas.statistics.bootstrap import mean
from nas.statistics.estimate import Estimate
from nas.statistics.ranks import spearman

BOUNDS = (-1.0, 1.0)
"""Of a correlation, and of a difference of accuracies."""
MIN_RANKED = 3
"""Two depths are always ranked alike or the other way round."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One answer of one method."""

    label: str
    answer: Answer
    num_runs: int
    """That have this answer."""
    depth: float
    """Mean over these runs."""
    min_depth: int
    max_depth: int
    distance: float | None
    """Mean of |D - D3|, in levels."""
    spearman: Estimate | None
    """Mean rank correlation with the profile of ordinary training."""
    regret: Estimate | None
    """Mean over the runs that have one."""
    num_regrets: int
    """The others name a level that was never trained in the ordinary way, or that is no depth of the space."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers of one method."""

    label: str
    first: Answer
    second: Answer
    num_runs: int
    """That have both."""
    distance: float
    """Mean over these runs, in levels."""
    spearman: float | None
    """Mean over those of them where there is one."""


def agreements(supernets: Sequence[Supernet], trainings: Trainings) -> Iterator[Agreement]:
    """Every answer that a method's supernets give, in the order of the methods.

    Args:
        supernets: of one study.
        trainings: of the same study.
    """
    best, means = trainings.best, trainings.means
    for label, of_label in _by_label(supernets):
        for answer in Answer:
            own = [supernet for supernet in of_label if answer in supernet.depths]
            if not own:
                continue
            depths = [supernet.depths[answer] for supernet in own]
            regrets = [trainings.regret(supernet.depths[answer], supernet.seed) for supernet in own]
            known = [regret for regret in regrets if regret is not None]
            yield Agreement(
                label=label,
                answer=answer,
                num_runs=len(own),
                depth=fmean(depths),
                min_depth=min(depths),
                max_depth=max(depths),
                distance=None if best is None else fmean(abs(depth - best) for depth in depths),
                spearman=_estimate(_correlation(supernet.merits[answer], means) for supernet in own),
                regret=_estimate(known),
                num_regrets=len(known),
            )


def pairs(supernets: Sequence[Supernet], trainings: Trainings) -> Iterator[Pair]:
    """Every two answers of a method, that of ordinary training among them. Arguments as for `agreements`."""
    held = [_with_training(supernet, trainings) for supernet in supernets]
    for label, of_label in _by_label(held):
        for first, second in combinations(Answer, 2):
            both = [supernet for supernet in of_label if first in supernet.depths and second in supernet.depths]
            if both:
                correlation = _estimate(_correlation(one.merits[first], one.merits[second]) for one in both)
                yield Pair(
                    label=label,
                    first=first,
                    second=second,
                    num_runs=len(both),
                    distance=fmean(abs(one.depths[first] - one.depths[second]) for one in both),
                    spearman=None if correlation is None else correlation.value,
                )


def _with_training(supernet: Supernet, trainings: Trainings) -> Supernet:
    """The third answer is the same for all runs of a study."""
    if trainings.best is None:
        return supernet
    return replace(
        supernet,
        merits={**supernet.merits, Answer.TRAINING: trainings.means},
        depths={**supernet.depths, Answer.TRAINING: trainings.best},
    )


def _by_label(supernets: Sequence[Supernet]) -> Iterator[tuple[str, list[Supernet]]]:
    for label in dict.fromkeys(supernet.label for supernet in supernets):
        yield label, [supernet for supernet in supernets if supernet.label == label]


def _correlation(x: Merits, y: Merits) -> float | None:
    shared = [depth for depth in x if depth in y]
    return (
        spearman([x[depth] for depth in shared], [y[depth] for depth in shared]) if len(shared) >= MIN_RANKED else None
    )


def _estimate(values: Iterable[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    return mean([known], bounds=BOUNDS) if known else None
