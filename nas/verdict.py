"""A comparison in plain words: who won, by how much, how surely, at which depth.

How surely: a method counts as different from the baseline when the 95 % interval of their difference, seed by seed,
excludes zero, and there are at least six seeds. With fewer, chance alone gives all differences the same sign in more
than 5 % of all studies: 2 / 2^n of them, which is 25 % for three seeds and 3 % for six.
"""

from __future__ import annotations

from collections.abc import Iterator

from nas.bootstrap import Estimate
from nas.comparison import SCORES, Comparison, MethodSummary, Score
from nas.quantities import number, percent

MIN_SEEDS = 6


def verdict(comparison: Comparison) -> tuple[str, ...]:
    """A sentence or two on each of both scores, and one on the runs that are in neither."""
    return (*(_judge(comparison, score) for score in SCORES), *_left_out(comparison))


def _judge(comparison: Comparison, name: str) -> str:
    scored = [method for method in comparison.methods if method.scores[name].accuracy is not None]
    title = name.capitalize()
    if not scored:
        return f"{title}: no run has a score yet."
    first, *others = sorted(scored, key=lambda method: -_accuracy(method, name))
    lead = f"{title}: {_naming(first, name)} has the highest mean test accuracy"
    if first.label != comparison.baseline:
        return f"{lead}. {_against(first, comparison.baseline, first.scores[name])}"
    if not others:
        return f"{lead}; no other method has a score."
    second = others[0]
    following = f"next is {_naming(second, name)}"
    return f"{lead}; {following}. {_against(second, comparison.baseline, second.scores[name])}"


def _naming(method: MethodSummary, name: str) -> str:
    return f"{method.label} ({percent(_accuracy(method, name))} %{_depth(method)})"


def _depth(method: MethodSummary) -> str:
    if method.depth is None:
        return ""
    if method.min_depth == method.max_depth:
        return f", depth {method.min_depth}"
    return f", depths {method.min_depth} to {method.max_depth}, on average {number(method.depth)}"


def _against(method: MethodSummary, baseline: str, score: Score) -> str:
    if score.improvement is None:
        return f"The baseline {baseline} has no score to compare with."
    odds = f"it beats {baseline} in a pair of runs with probability {score.improvement.value:.2f}"
    if score.difference is None:
        return f"{method.label} and {baseline} have no seed in common; {odds}."
    seeds = f"{score.num_pairs} seed{'s' if score.num_pairs > 1 else ''}"
    return (
        f"Against {baseline}, {method.label} has {_points(score.difference)}, and {odds}: "
        f"{_certainty(baseline, score.difference, score.num_pairs, seeds)}."
    )


def _points(difference: Estimate) -> str:
    points = f"{percent(difference.value, sign=True)} points"
    if difference.low is None or difference.high is None:
        return points
    return f"{points} (95 % interval {percent(difference.low, sign=True)} to {percent(difference.high, sign=True)})"


def _certainty(baseline: str, difference: Estimate, num_pairs: int, seeds: str) -> str:
    if difference.low is None or difference.high is None:
        return f"{seeds} cannot say whether that is chance"
    if difference.low <= 0 <= difference.high:
        return f"not distinguishable from {baseline} with {seeds}"
    better = "better" if difference.value > 0 else "worse"
    if num_pairs < MIN_SEEDS:
        return f"{better} in the mean, but {seeds} are too few to rule out chance (at least {MIN_SEEDS})"
    return f"{better} than {baseline}"


def _left_out(comparison: Comparison) -> Iterator[str]:
    num_runs = sum(method.num_runs for method in comparison.methods)
    failed = {method.label: method.num_failed for method in comparison.methods if method.num_failed}
    unfinished = {method.label: method.num_unfinished for method in comparison.methods if method.num_unfinished}
    for what, counts in (("failed", failed), ("are not finished", unfinished)):
        if counts:
            whose = ", ".join(f"{count} of {label}" for label, count in counts.items())
            yield f"{sum(counts.values())} of {num_runs} runs {what} and are in no mean: {whose}."


def _accuracy(method: MethodSummary, name: str) -> float:
    accuracy = method.scores[name].accuracy
    assert accuracy is not None
    return accuracy.value
