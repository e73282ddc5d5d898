"""The tables of a comparison that people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from nas.anytime import Moment
from nas.caps import Cap
from nas.comparison import Comparison, MethodSummary
from nas.output import UNLIMITED, table
from nas.quantities import NOTHING, flops, number, percent
from nas.scores import Score
from nas.statistics.estimate import Estimate
from nas.statistics.profiles import DISTANCES
from nas.statistics.significance import ALPHA
from nas.verdict import verdict

SCORE_TITLES = {
    "delivered": ("Delivered test accuracy, %:", "the trained model that a run holds when its budget is spent"),
    "retrained": ("Retrained test accuracy, %:", "its architecture after the final protocol, the same for all"),
}
BEST, CLAIM = "bold green", "bold"
"""Styles of the highest mean, and of what may be claimed."""

Line = Sequence[str | Text]


class Fitting:
    """The first of several renderables that is no wider than the screen, else the last."""

    def __init__(self, *choices: RenderableType) -> None:
        self.choices = choices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unlimited = options.update(width=UNLIMITED)
        widths = [console.measure(choice, options=unlimited).maximum for choice in self.choices]
        fits = [choice for choice, width in zip(self.choices, widths, strict=True) if width <= options.max_width]
        yield fits[0] if fits else self.choices[-1]


def comparison_tables(
    comparison: Comparison, moments: Sequence[Moment] = (), caps: Sequence[Cap] = ()
) -> Iterator[RenderableType]:
    """Both scores, what was chosen and spent, whatever else was asked for, and the verdict."""
    yield _heading(comparison)
    for name in comparison.scored:
        title, explanation = SCORE_TITLES[name]
        yield Text.assemble((title, "bold"), f" {explanation}")
        yield _score_table(comparison, {method.label: method.scores[name] for method in comparison.methods})
        yield Text()
    yield Text("Chosen and spent", style="bold")
    columns = {"method": False, "depth": True, "range": True, "inference": True, "spent %": True, "ended": False}
    yield table(columns, (_choice_cells(method) for method in comparison.methods))
    if len(comparison.tasks) > 1:
        yield from _profile_tables(comparison)
    if moments:
        yield from _moment_tables(comparison, moments)
    for cap in caps:
        yield from _cap_tables(comparison, cap)
    for sentence in verdict(comparison):
        yield Text(f"\n{sentence}")


def _heading(comparison: Comparison) -> Text:
    many = len(comparison.studies) > 1
    tasks = f" on {len(comparison.tasks)} task{'s' if len(comparison.tasks) > 1 else ''}" if many else ""
    return Text.assemble(
        "Studies " if many else "Study ",
        (comparison.study, "bold"),
        f"{tasks}, baseline {comparison.baseline}. [ ] are 95 % intervals.\n"
        "p: Wilcoxon's signed-rank test. Holm: p corrected for the number of methods.\n"
        f"{_margin(comparison)}: what is shown about a margin of so many points.\n",
    )


def _margin(comparison: Comparison) -> str:
    return f"±{100 * comparison.margin:g}"


def _score_table(
    comparison: Comparison, scores: Mapping[str, Score], more: Mapping[str, Sequence[str]] | None = None
) -> Fitting:
    """One table, or on narrow screens two: where the methods lie, and how they differ from the baseline.

    Args:
        comparison: says how many runs there are.
        scores: by label.
        more: further columns of numbers.
    """
    more = more or {}
    num_runs = {method.label: method.num_runs for method in comparison.methods}
    means = [score.accuracy.value for score in scores.values() if score.accuracy is not None]
    best = max(means, default=None)
    label_cells, lies, differs = [], [], []
    for label, score in scores.items():
        style = BEST if score.accuracy is not None and score.accuracy.value == best else ""
        label_cells.append(Text(label, style=style))
        lies.append(
            (f"{score.num}/{num_runs[label]}", Text(in_percent(score.accuracy), style=style), in_percent(score.iqm))
        )
        differs.append(_difference_cells(score))
    further = list(zip(*more.values(), strict=True)) if more else [()] * len(scores)
    where = {"runs": True, "mean": False, "IQM": False}
    against = {"difference": False, "P(better)": False, "p": True, "Holm": True, _margin(comparison): False}
    further_columns = dict.fromkeys(more, True)

    def joined(columns: Mapping[str, bool], *parts: Sequence[Line]) -> Table:
        rows = zip(label_cells, *parts, strict=True)
        return table(
            {"method": False, **columns}, ([label, *(cell for part in row for cell in part)] for label, *row in rows)
        )

    return Fitting(
        joined({**where, **against, **further_columns}, lies, differs, further),
        Group(
            joined({**where, **further_columns}, lies, further),
            Text(),
            joined(against, differs),
        ),
    )


def _difference_cells(score: Score) -> Line:
    conclusion = score.conclusion
    return (
        in_percent(score.difference, sign=True),
        _chance(score.improvement),
        _p_value(score.p),
        Text(_p_value(score.p_holm), style=CLAIM if score.p_holm is not None and score.p_holm <= ALPHA else ""),
        Text(conclusion or NOTHING, style="" if conclusion in (None, "few", "open") else CLAIM),
    )


def _choice_cells(method: MethodSummary) -> Sequence[str]:
    is_range = method.min_depth is not None and method.min_depth != method.max_depth
    return (
        method.label,
        number(method.depth),
        f"{method.min_depth}-{method.max_depth}" if is_range else NOTHING,
        flops(method.inference_flops),
        percent(method.spent_share),
        method.ended or NOTHING,
    )


def _profile_tables(comparison: Comparison) -> Iterator[RenderableType]:
    for name in SCORE_TITLES:
        curves = {method.label: method.profiles[name] for method in comparison.methods if name in method.profiles}
        if curves:
            yield Text.assemble(
                "\n",
                (f"{name.capitalize()}, profile over tasks:", "bold"),
                " % of runs within so many points of the best mean of their task",
            )
            columns = {"method": False, **{f"{100 * distance:g}": True for distance in DISTANCES}}
            yield table(
                columns, ([label, *(percent(share, digits=0) for share in curve)] for label, curve in curves.items())
            )


def _moment_tables(comparison: Comparison, moments: Sequence[Moment]) -> Iterator[RenderableType]:
    shares = [f"{100 * moment.share:g} %" for moment in moments]
    labels = [method.label for method in comparison.methods]
    num_runs = {method.label: method.num_runs for method in comparison.methods}

    def curve(label: str, *, intervals: bool) -> Line:
        return [label, *(_so_far(moment.scores[label], num_runs[label], intervals) for moment in moments)]

    yield Text.assemble(
        "\n", ("Best so far:", "bold"), " mean validation accuracy, %, when so much of the budget is spent"
    )
    columns = {"method": False, **dict.fromkeys(shares, False)}
    yield Fitting(*(table(columns, [curve(label, intervals=wide) for label in labels]) for wide in (True, False)))
    yield Text.assemble("\n", ("Rank by that,", "bold"), " and how far the ranks agree with those at the end")
    body = [[label, *(number(moment.ranks[label]) for moment in moments)] for label in labels]
    taus = [NOTHING if moment.tau is None else f"{moment.tau:.2f}" for moment in moments]
    yield table({"method": False, **dict.fromkeys(shares, True)}, [*body, ["Kendall's tau", *taus]])


def _so_far(score: Score, num_runs: int, intervals: bool) -> str:
    if score.accuracy is None:
        return NOTHING
    accuracy = in_percent(score.accuracy) if intervals else percent(score.accuracy.value)
    return accuracy if score.num == num_runs else f"{accuracy} ({score.num}/{num_runs})"


def _cap_tables(comparison: Comparison, cap: Cap) -> Iterator[RenderableType]:
    yield Text.assemble(
        "\n", (f"Best under {flops(cap.flops)}:", "bold"), " highest validation accuracy of a run, %, and its network"
    )
    more = {
        "depth": [number(capped.depth) for capped in cap.methods.values()],
        "inference": [flops(capped.inference_flops) for capped in cap.methods.values()],
    }
    yield _score_table(comparison, {label: capped.score for label, capped in cap.methods.items()}, more)


def in_percent(estimate: Estimate | None, *, sign: bool = False) -> str:
    """A share in [0, 1] and its interval, in percent: `77.5 [75.0, 80.0]`."""
    if estimate is None:
        return NOTHING
    interval = f"[{percent(estimate.low, sign=sign)}, {percent(estimate.high, sign=sign)}]"
    return f"{percent(estimate.value, sign=sign)} {interval if estimate.low is not None else ''}".rstrip()


def _chance(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    interval = f" [{estimate.low:.2f}, {estimate.high:.2f}]" if estimate.low is not None else ""
    return f"{estimate.value:.2f}{interval}"


def _p_value(p: float | None) -> str:
    if p is None:
        return NOTHING
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
