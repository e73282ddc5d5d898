"""A comparison in plain words: who won, by how much, how surely, at which depth.

How surely: a method counts as different from the baseline when the signed-rank test of their differences, seed by
seed, says so after the correction for the number of methods, and the 95 % interval of their mean excludes zero. There
must be six seeds at least: with fewer, chance alone gives all differences the same sign in more than 5 % of all
studies, 2 / 2^n of them: 25 % for three seeds, 3 % for six.
"""

from __future__ import annotations

from collections.abc import Iterator

from nas.comparison import Comparison, MethodSummary
from nas.merging import numbered
from nas.quantities import number, percent
from nas.scores import MIN_PAIRS, Score
from nas.statistics.estimate import Estimate
from nas.statistics.significance import ALPHA


def verdict(comparison: Comparison) -> tuple[str, ...]:
    """A sentence or two on each of both scores, and what the runs that are in neither and the figures leave out."""
    notes = (f"{note[0].upper()}{note[1:]}." for note in comparison.notes)
    return (*(_judge(comparison, score) for score in comparison.scored), *_left_out(comparison), *notes)


def _judge(comparison: Comparison, name: str) -> str:
    scored = [method for method in comparison.methods if method.scores[name].accuracy is not None]
    title = name.capitalize()
    if not scored:
        return f"{title}: no run has a score yet."
    first, *others = sorted(scored, key=lambda method: -_accuracy(method, name))
    lead = f"{title}: {_naming(first, name)} has the highest mean test accuracy"
    if first.label != comparison.baseline:
        return f"{lead}. {_against(first, comparison, first.scores[name])}"
    if not others:
        return f"{lead}; no other method has a score."
    second = others[0]
    following = f"next is {_naming(second, name)}"
    return f"{lead}; {following}. {_against(second, comparison, second.scores[name])}"


def _naming(method: MethodSummary, name: str) -> str:
    return f"{method.label} ({percent(_accuracy(method, name))} %{_depth(method)})"


def _depth(method: MethodSummary) -> str:
    if method.depth is None:
        return ""
    if method.min_depth == method.max_depth:
        return f", depth {method.min_depth}"
    return f", depths {method.min_depth} to {method.max_depth}, on average {number(method.depth)}"


def _against(method: MethodSummary, comparison: Comparison, score: Score) -> str:
    baseline = comparison.baseline
    if score.improvement is None:
        return f"The baseline {baseline} has no score to compare with."
    odds = f"it beats {baseline} in a pair of runs with probability {score.improvement.value:.2f}"
    if score.difference is None:
        return f"{method.label} and {baseline} have no seed in common; {odds}."
    return (
        f"Against {baseline}, {method.label} has {_points(score.difference)}, and {odds}: "
        f"{_certainty(comparison, score, score.difference)}."
    )


def _points(difference: Estimate) -> str:
    points = f"{percent(difference.value, sign=True)} points"
    if difference.low is None or difference.high is None:
        return points
    return f"{points} (95 % interval {percent(difference.low, sign=True)} to {percent(difference.high, sign=True)})"


def _certainty(comparison: Comparison, score: Score, difference: Estimate) -> str:
    baseline, seeds = comparison.baseline, numbered(score.num_pairs, "seed")
    if len(comparison.tasks) > 1:
        seeds = f"{numbered(score.num_pairs, 'pair')} on {len(comparison.tasks)} tasks"
    if score.num_pairs < MIN_PAIRS:
        verb = "is" if score.num_pairs == 1 else "are"
        return f"{seeds} {verb} too few to rule out chance (at least {MIN_PAIRS})"
    margin = f"{100 * comparison.margin:g} points"
    if _is_significant(score, difference):
        claim = f"{'better' if difference.value > 0 else 'worse'} than {baseline}"
        return f"{claim}, but equivalent within {margin}" if score.conclusion == "equivalent" else claim
    match score.conclusion:
        case "equivalent":
            return f"equivalent to {baseline} within {margin}"
        case "no worse":
            return f"not distinguishable from {baseline} with {seeds}, but no worse by {margin}"
        case "no better":
            return f"not distinguishable from {baseline} with {seeds}, but no better by {margin}"
        case _:
            return f"not distinguishable from {baseline} with {seeds}"


def _is_significant(score: Score, difference: Estimate) -> bool:
    """By ranks and by the mean: neither alone, since few numbers can deceive both."""
    if score.p_holm is None or difference.low is None or difference.high is None:
        return False
    return score.p_holm <= ALPHA and not difference.low <= 0 <= difference.high


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
