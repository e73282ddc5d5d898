"""The answers as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nas.comparison_tables import BEST, in_percent
from nas.depth.agreement import Agreement
from nas.depth.answers import Answer, Supernet
from nas.depth.study import DepthStudy
from nas.depth.text_map import text_map
from nas.merging import listing, numbered
from nas.output import table
from nas.quantities import NOTHING, number, percent
from nas.statistics.estimate import Estimate

MEANINGS = {
    Answer.WEIGHT: "level with the greatest weight",
    Answer.SCALED: "the same, each weight times the size of what it weighs",
    Answer.LEVEL: "level that does best with all weight on it",
    Answer.TRAINING: "depth that does best when it is trained in the ordinary way",
    Answer.REMOVAL: "level that is missed most",
    Answer.POSTERIOR: "most probable depth",
}
FOREIGN = "*"
"""Marks a level that is no depth of the space."""


def depth_tables(one: DepthStudy) -> Iterator[RenderableType]:
    """Which depth is best, in five ways, and how far they agree."""
    yield Text.assemble("Study ", (one.study, "bold"), f", depths {listing(one.allowed)}. Which depth is best?\n")
    for answer in _given(one):
        yield Text.assemble(f"{answer:<4}", (MEANINGS[answer], "dim"))
    yield Text("\nAnswers, mean over runs and range", style="bold")
    yield _answer_table(one)
    if one.supernets:
        yield Text.assemble("\n", ("Run by run", "bold"), f" ({FOREIGN} no depth of the space)")
        yield _run_table(one)
    if one.trainings.depths:
        yield Text.assemble(
            "\n", (f"Ordinary training of {numbered(one.epochs, 'epoch')}:", "bold"), " validation accuracy, %"
        )
        yield _training_table(one)
    if one.agreements and one.trainings.best is not None:
        yield Text.assemble(
            "\n",
            (f"Held against D3, depth {one.trainings.best}:", "bold"),
            " distance in levels, rank correlation of the depths, points lost. [ ] are 95 % intervals",
        )
        yield _agreement_table(one)
    if any(len(_answers_of(one, label)) > 1 for label in _labels(one)):
        yield Text.assemble(
            "\n", ("Between the answers:", "bold"), " distance in levels, and in brackets the rank correlation"
        )
        yield _pair_table(one)
    for weights in one.maps:
        yield Text()
        yield text_map(weights)
    for note in one.notes:
        yield Text(f"\n{note[0].upper()}{note[1:]}.")


def _given(one: DepthStudy) -> list[Answer]:
    """The answers that this study has; the third is named even if it is missing."""
    known = {answer for supernet in one.supernets for answer in supernet.depths}
    return [answer for answer in Answer if answer in known or answer is Answer.TRAINING]


def _labels(one: DepthStudy) -> list[str]:
    return list(dict.fromkeys(agreement.label for agreement in one.agreements))


def _answers_of(one: DepthStudy, label: str) -> dict[Answer, Agreement]:
    return {agreement.answer: agreement for agreement in one.agreements if agreement.label == label}


def _answer_table(one: DepthStudy) -> Table:
    given = _given(one)
    trained = _trained_answer(one)
    body = []
    for label in _labels(one):
        own = _answers_of(one, label)
        cells = [trained if answer is Answer.TRAINING else _depth(own.get(answer)) for answer in given]
        runs = [supernet for supernet in one.supernets if supernet.label == label]
        body.append([label, str(len(runs)), *cells, _mean_and_range([run.chosen_depth for run in runs])])
    if not body:
        body.append([NOTHING, "0", *(trained if answer is Answer.TRAINING else NOTHING for answer in given), NOTHING])
    columns = {"method": False, "runs": True, **dict.fromkeys(map(str, given), False), "chosen": False}
    return table(columns, body)


def _trained_answer(one: DepthStudy) -> str:
    """`6 (5-7)`: the best depth, and those that its standard error does not tell from it."""
    if one.trainings.best is None:
        return NOTHING
    others = f" ({listing(one.trainings.tied)})" if len(one.trainings.tied) > 1 else ""
    return f"{one.trainings.best}{others}"


def _depth(agreement: Agreement | None) -> str:
    if agreement is None:
        return NOTHING
    return _with_range(agreement.depth, agreement.min_depth, agreement.max_depth)


def _mean_and_range(depths: Sequence[int | None]) -> str:
    known = [depth for depth in depths if depth is not None]
    return _with_range(sum(known) / len(known), min(known), max(known)) if known else NOTHING


def _with_range(mean: float, low: int, high: int) -> str:
    return f"{number(mean)} ({low}-{high})" if low != high else number(mean)


def _run_table(one: DepthStudy) -> Table:
    given = [answer for answer in _given(one) if answer is not Answer.TRAINING]
    columns = {"method": False, "seed": True, "epochs": True, **dict.fromkeys(map(str, given), True), "chosen": True}

    def cell(supernet: Supernet, answer: Answer) -> str:
        depth = supernet.depths.get(answer)
        return f"{number(depth)}{'' if depth is None or depth in one.allowed else FOREIGN}"

    body = (
        (
            supernet.label,
            str(supernet.seed),
            number(supernet.epoch),
            *(cell(supernet, answer) for answer in given),
            number(supernet.chosen_depth),
        )
        for supernet in one.supernets
    )
    return table(columns, body)


def _training_table(one: DepthStudy) -> Table:
    trainings = one.trainings
    best = trainings.depths[trainings.best] if trainings.best is not None else None

    def remark(depth: int) -> Text:
        if depth == trainings.best:
            return Text("best", style=BEST)
        return Text("within the standard error of the best" if depth in trainings.tied else "")

    columns = {"depth": True, "seeds": True, "mean": False, "error": True, "below the best": True, "": False}
    body = (
        (
            str(depth),
            str(len(trained.by_seed)),
            in_percent(trained.accuracy),
            percent(trained.error),
            percent(best.accuracy.value - trained.accuracy.value) if best else NOTHING,
            remark(depth),
        )
        for depth, trained in trainings.depths.items()
    )
    return table(columns, body)


def _agreement_table(one: DepthStudy) -> Table:
    columns = {"method": False, "answer": False, "depth": False, "distance": True, "rank correlation": False}
    columns |= {"regret, points": False, "of runs": True}
    body = (
        (
            agreement.label,
            str(agreement.answer),
            _depth(agreement),
            number(agreement.distance),
            _correlation(agreement.spearman),
            in_percent(agreement.regret, sign=True),
            f"{agreement.num_regrets}/{agreement.num_runs}",
        )
        for agreement in one.agreements
    )
    return table(columns, body)


def _pair_table(one: DepthStudy) -> Table:
    given = _given(one)
    cells = {
        (pair.label, frozenset((pair.first, pair.second))): _distance(pair.distance, pair.spearman)
        for pair in one.pairs
    }
    body = []
    for label in _labels(one):
        own = [answer for answer in given if answer in _answers_of(one, label) or answer is Answer.TRAINING]
        for row in own:
            others = (
                cells.get((label, frozenset((row, column))), "" if row is column else NOTHING) for column in given
            )
            body.append([label, str(row), *others])
    return table({"method": False, "": False, **dict.fromkeys(map(str, given), False)}, body)


def _distance(distance: float, spearman: float | None) -> str:
    return f"{number(distance)} ({NOTHING if spearman is None else f'{spearman:+z.2f}'})"


def _correlation(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    interval = f" [{estimate.low:+z.2f}, {estimate.high:+z.2f}]" if estimate.low is not None else ""
    return f"{estimate.value:+z.2f}{interval}"
